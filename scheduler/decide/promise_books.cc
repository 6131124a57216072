#include "scheduler/decide/promise_books.h"

#include <algorithm>

namespace stepcast {

void PromiseBooks::Refused(Priority priority, double alone, double due, double now) {
  if (open_.size() == kMostOpen || alone > due - now) return;
  open_.push_back({.priority = priority, .alone = alone, .since = now, .due = due, .worked = worked_});
  next_ = std::min(next_, due);
}

void PromiseBooks::Ended(const JobView& view, JobStatus outcome, bool in_time) {
  if (!view.firm || view.probe) return;
  if (outcome != JobStatus::kExpired && outcome != JobStatus::kSucceeded) return;
  const bool kept = outcome == JobStatus::kSucceeded && in_time;
  Move(view.job->request().priority, kept ? -kStep * kMayBreak : kStep);
}

void PromiseBooks::Move(Priority priority, double by) {
  double& caution = caution_[static_cast<size_t>(priority)];
  caution = std::clamp(caution + by, kLeast, kMost);
}

void PromiseBooks::Judge(double now) {
  std::sort(open_.begin(), open_.end(), [](const Refusal& a, const Refusal& b) { return a.due < b.due; });
  const auto rest = std::find_if(open_.begin(), open_.end(), [now](const Refusal& each) { return each.due > now; });
  for (auto refusal = open_.begin(); refusal != rest; ++refusal) {
    const double idled = refusal->due - refusal->since - (worked_ - refusal->worked);
    if (idled < refusal->alone) continue;
    Move(refusal->priority, -kStep * kNeedless);
    worked_ += refusal->alone;
  }
  open_.erase(open_.begin(), rest);
  next_ = open_.empty() ? std::numeric_limits<double>::infinity() : open_.front().due;
}

}  // namespace stepcast
