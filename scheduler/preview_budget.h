#pragma once
// Which previews a tick can afford.

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/cost_model.h"
#include "scheduler/snapshot.h"
#include "scheduler/step_plan.h"

namespace stepcast {

// Fills plan.previews from the plan's jobs: those with a preview due, or owed because it was skipped. Previews take at
// most a tenth of the tick, those who waited longest first, and none is made while a member is behind its client's
// deadline. A job is owed one preview at most: it shows the newest state when its turn comes. Where previews cost
// nothing, all are made.
// REQUIRES: plan.phase() == kDenoise; `members` are its jobs, in its order.
void ChoosePreviews(absl::Span<JobView* const> members, const CostModel& costs, absl::Time now, StepPlan& plan);

}  // namespace stepcast
