#include "tools/simulate/recorded_arrivals.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "scheduler/recording_reader.h"

namespace stepcast::simulate {
namespace {

Arrival ArrivalOf(const RecordedSubmit& submit, absl::Time at, absl::Time begin) {
  const GenerationRequest& request = *submit.spec.request;
  const auto& evaluations = submit.spec.program->evaluations;
  Arrival arrival;
  arrival.at = std::max(absl::ZeroDuration(), at - begin);
  arrival.steps = submit.spec.program->steps;
  arrival.evaluations_per_step = std::max(1, static_cast<int>(evaluations.size()) / arrival.steps);
  arrival.model = request.model->id;
  arrival.latent_height = request.latent_height();
  arrival.latent_width = request.latent_width();
  arrival.guided = std::any_of(evaluations.begin(), evaluations.end(),
                               [](const sampling::Evaluation& evaluation) { return evaluation.rows() == 2; });
  arrival.priority = request.priority;
  arrival.tenant = request.tenant;
  arrival.due = submit.spec.deadline - at;
  arrival.cold = submit.needs_encode;
  arrival.previews_every = request.preview.every_n_steps;
  return arrival;
}

// By time; of equal times, the one that was handed over first.
std::vector<Arrival> InOrder(const std::vector<Arrival>& arrivals) {
  std::vector<std::pair<absl::Duration, size_t>> order;
  for (size_t i = 0; i < arrivals.size(); ++i) order.emplace_back(arrivals[i].at, i);
  std::sort(order.begin(), order.end());
  std::vector<Arrival> sorted;
  sorted.reserve(arrivals.size());
  for (const auto& [at, place] : order) sorted.push_back(arrivals[place]);
  return sorted;
}

absl::StatusOr<std::vector<Arrival>> ReadFile(RecordingReader& recording, absl::Time begin) {
  std::vector<Arrival> arrivals;
  absl::flat_hash_map<JobId, size_t> places;
  while (true) {
    STEPCAST_ASSIGN_OR_RETURN(const std::optional<RecordedEvent> event, recording.Next());
    if (!event.has_value()) break;
    if (const auto* submit = std::get_if<RecordedSubmit>(&event->what)) {
      const absl::Time arrival = submit->spec.arrival;
      places[submit->job] = arrivals.size();
      arrivals.push_back(ArrivalOf(*submit, arrival == absl::InfinitePast() ? event->at : arrival, begin));
    } else if (const auto* leave = std::get_if<RecordedLeave>(&event->what)) {
      const auto place = places.find(leave->job);
      if (place == places.end() || leave->code != absl::StatusCode::kCancelled) continue;
      Arrival& arrival = arrivals[place->second];
      arrival.patience = std::max(absl::ZeroDuration(), event->at - begin - arrival.at);
    }
  }
  return InOrder(arrivals);
}

}  // namespace

absl::StatusOr<std::vector<Arrival>> ReadArrivals(const std::vector<std::string>& paths) {
  std::vector<std::unique_ptr<RecordingReader>> recordings;
  absl::Time begin = absl::InfiniteFuture();
  for (const std::string& path : paths) {
    STEPCAST_ASSIGN_OR_RETURN(recordings.emplace_back(), RecordingReader::Open(path));
    begin = std::min(begin, recordings.back()->header().begin);
  }
  std::vector<Arrival> arrivals;
  for (const auto& recording : recordings) {
    STEPCAST_ASSIGN_OR_RETURN(const std::vector<Arrival> more, ReadFile(*recording, begin));
    arrivals = Merge(arrivals, more);
  }
  if (arrivals.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(absl::StrJoin(paths, ", "), ": no arrivals are recorded"));
  }
  return arrivals;
}

}  // namespace stepcast::simulate
