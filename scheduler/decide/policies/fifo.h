#pragma once
// Step-level batching in order of arrival.

#include "scheduler/decide/policy.h"

namespace stepcast {

// Keys take turns; within the key whose turn it is, jobs step in order of arrival, up to the row cap.
//
// A key's turn comes when no other key with jobs has waited longer for one. It waits since its last plan, or,
// if it had no jobs then, since it got its first one. So sizes, models and phases alternate: running jobs do
// not wait for a burst of encodes, finished latents do not wait for running jobs, and nobody is overtaken:
//
// Bound: a key with a job ready is planned within as many plans as there were keys with jobs when its wait
// began. Within a key the oldest job is in every plan of the key; a younger one waits for older ones only.
class FifoPolicy final : public SchedulingPolicy {
 public:
  std::string_view name() const override { return "fifo"; }
  StepPlan Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const override;
};

}  // namespace stepcast
