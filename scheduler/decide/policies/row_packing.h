#pragma once
// What every policy shares: filling one plan with jobs of one key.

#include "absl/types/span.h"
#include "scheduler/decide/policy.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// How many rows `view` takes in a tick of at most `cap` rows that has room for `room` more: all it has, or, when its
// evaluation does not fit any tick, what there is; 0: it does not join.
int RowsFor(const JobView& view, int room, int cap);

// Adds `rows` rows of a job.
void Seat(const JobView& view, int rows, StepPlan& plan);

// Takes jobs of `key` from `candidates`, in their order, while their rows fit a tick of the key and they themselves fit
// the device.
// Jobs in flight and jobs that wait for another phase are passed over. A job that does not fit leaves its room
// to later, smaller ones: that never delays it, because the first candidate always fits.
StepPlan PackRows(const BatchKey& key, absl::Span<const JobView* const> candidates, const CostModel& costs);

}  // namespace stepcast
