#pragma once
// Which previews a tick can afford.

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/words/snapshot.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// Previews take at most a tenth of the time of denoise ticks. What a tick does not spend is saved up to one preview or
// a tenth of the tick, whichever is more, so that a preview that costs more than a tenth of a tick comes every few
// ticks, and a pause is not followed by a burst.
//
// Thread-safety: none.
class PreviewBudget {
 public:
  // Fills plan.previews from the plan's jobs: those with a preview due, or owed because it was skipped, those who
  // waited longest first. None is made while a member is behind its client's deadline. A job is owed one preview at
  // most: it shows the newest state when its turn comes. Where previews cost nothing, all are made; those by a network
  // that nobody has measured are taken to cost a decode each. Returns what is known that they cost, which
  // plan.predicted does not hold yet. REQUIRES: plan.phase() == kDenoise; `members` are those of its jobs whose
  // evaluation it ends, in its order; there may be none.
  absl::Duration Choose(absl::Span<JobView* const> members, const CostModel& costs, absl::Time now, StepPlan& plan);

 private:
  double saved_ = 0.0;  // seconds
};

}  // namespace stepcast
