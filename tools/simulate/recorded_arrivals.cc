#include "tools/simulate/recorded_arrivals.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "scheduler/recording/recording_reader.h"
#include "scheduler/recording/recording_text.h"

namespace stepcast::simulate {
namespace {

// One attempt to get a picture in at one device.
struct Attempt {
  Arrival arrival;
  std::string picture;  // what names it in all files: its arrival, settings and index
  bool taken = true;
};

Attempt AttemptOf(const JobSpec& spec, bool needs_encode, absl::Time event, absl::Time begin) {
  const GenerationRequest& request = *spec.request;
  const WorkList& work = *spec.work;
  const absl::Time at = spec.arrival == absl::InfinitePast() ? event : spec.arrival;
  Attempt attempt;
  Arrival& arrival = attempt.arrival;
  arrival.at = std::max(absl::ZeroDuration(), at - begin);
  arrival.steps = work.steps();
  arrival.evaluations_per_step = std::max(1, work.evaluations() / arrival.steps);
  arrival.model = request.model->id;
  arrival.latent_height = request.latent_height();
  arrival.latent_width = request.latent_width();
  arrival.guided = work.most_rows() > 1;
  arrival.priority = request.priority;
  arrival.tenant = request.tenant;
  arrival.due = spec.deadline - at;
  arrival.cold = needs_encode;
  arrival.previews_every = request.preview.every_n_steps;
  attempt.picture = absl::StrCat(absl::ToUnixNanos(at), " ", spec.image_index, " ");
  recording::AppendSettings(attempt.picture, request);
  return attempt;
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

absl::Status ReadFile(RecordingReader& recording, absl::Time begin, std::vector<Attempt>& attempts) {
  absl::flat_hash_map<JobId, size_t> places;
  while (true) {
    STEPCAST_ASSIGN_OR_RETURN(const std::optional<RecordedEvent> event, recording.Next());
    if (!event.has_value()) return absl::OkStatus();
    if (const auto* submit = std::get_if<RecordedSubmit>(&event->what)) {
      places[submit->job] = attempts.size();
      attempts.push_back(AttemptOf(submit->spec, !submit->to_encode.empty(), event->at, begin));
    } else if (const auto* only = std::get_if<RecordedEncodeOnly>(&event->what)) {
      const auto place = places.find(only->job);
      if (place != places.end()) attempts[place->second].arrival.cold = !only->to_encode.empty();
    } else if (const auto* refusal = std::get_if<RecordedRefusal>(&event->what)) {
      // Nobody looked whether its prompt was known.
      attempts.push_back(AttemptOf(refusal->spec, /*needs_encode=*/false, event->at, begin));
      attempts.back().taken = false;
    } else if (const auto* leave = std::get_if<RecordedLeave>(&event->what)) {
      const auto place = places.find(leave->job);
      if (place == places.end()) continue;
      Attempt& attempt = attempts[place->second];
      // The other part of its request was refused elsewhere, so this one was taken back.
      if (leave->code == absl::StatusCode::kResourceExhausted) attempt.taken = false;
      if (leave->code != absl::StatusCode::kCancelled) continue;
      attempt.arrival.patience = std::max(absl::ZeroDuration(), event->at - begin - attempt.arrival.at);
    }
  }
}

// Every picture once, however many devices were asked: as the one that took it has it, if one did.
std::vector<Arrival> Pictures(const std::vector<Attempt>& attempts) {
  absl::flat_hash_set<std::string> seen;
  std::vector<Arrival> arrivals;
  for (const bool taken : {true, false}) {
    for (const Attempt& attempt : attempts) {
      if (attempt.taken != taken) continue;
      if (seen.insert(attempt.picture).second || taken) arrivals.push_back(attempt.arrival);
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
  std::vector<Attempt> attempts;
  for (const auto& recording : recordings) STEPCAST_RETURN_IF_ERROR(ReadFile(*recording, begin, attempts));
  const std::vector<Arrival> arrivals = Pictures(attempts);
  if (arrivals.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(absl::StrJoin(paths, ", "), ": no arrivals are recorded"));
  }
  return arrivals;
}

}  // namespace stepcast::simulate
