#include "tools/simulate/gap_books.h"

#include <algorithm>

namespace stepcast::simulate {

void GapBooks::OnPlan(const StepPlan& plan, absl::Time now) {
  start_ = now;
  if (plan.phase() != Phase::kDenoise) return;
  for (const JobId job : plan.jobs) {
    const auto last = last_.find(job);
    if (last == last_.end()) continue;
    const absl::Duration quantum = std::max(2 * last->second.took, item_);
    gaps_.push_back({.job = job,
                     .from = last->second.end,
                     .to = now,
                     .quanta = absl::FDivDuration(now - last->second.end, quantum)});
  }
}

void GapBooks::OnComplete(const StepPlan& plan, absl::Span<const StepResult>, absl::Time now) {
  if (plan.phase() != Phase::kDenoise) return;
  for (const JobId job : plan.jobs) last_[job] = {.end = now, .took = now - start_};
}

}  // namespace stepcast::simulate
