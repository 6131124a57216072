#pragma once
// What every policy shares: filling one plan with jobs of one key.

#include "absl/types/span.h"
#include "scheduler/decide/policy.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// Takes jobs of `key` from `candidates`, in their order, while their rows fit a tick of the key and they themselves fit
// the device.
// Jobs in flight and jobs that wait for another phase are passed over. A job that does not fit leaves its room
// to later, smaller ones: that never delays it, because the first candidate always fits.
StepPlan PackRows(const BatchKey& key, absl::Span<const JobView* const> candidates, const CostModel& costs);

}  // namespace stepcast
