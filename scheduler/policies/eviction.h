#pragma once
// Who makes room on the device.

#include <vector>

#include "scheduler/snapshot.h"
#include "scheduler/step_plan.h"

namespace stepcast {

// Running jobs to park before `plan` runs, so that no more than limits.max_resident_jobs have tensors on the device:
// the least urgent class first, in it the latest deadline. Jobs of the plan, in flight, or at their decode stay.
std::vector<JobId> ChooseEvictions(const SchedulerSnapshot& snapshot, const StepPlan& plan);

}  // namespace stepcast
