#include "tools/simulate/fate_sink.h"

#include <variant>

namespace stepcast::simulate {

void FateSink::OnEvent(JobEvent event) {
  const auto* finished = std::get_if<JobFinished>(&event.what);
  if (finished == nullptr) return;
  const auto found = followed_.find(event.job);
  if (found == followed_.end()) return;
  const auto [place, backlog] = found->second;
  followed_.erase(found);
  Fate& fate = fates_[place];
  fate.end = finished->status.code();
  fate.finished = Elapsed(now_);
  fate.evaluations = finished->statistics.evaluations;
  if (backlog != kNoBacklog) ended_of_backlog.push_back(backlog);
}

}  // namespace stepcast::simulate
