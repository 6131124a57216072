#pragma once
// When everybody would be done if nobody else came.

#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/decide/policy.h"

namespace stepcast {

// What is expected of one job.
struct Expectation {
  const JobView* view = nullptr;
  absl::Time start = absl::InfiniteFuture();   // of its first tick; now for jobs that run
  absl::Time finish = absl::InfiniteFuture();  // of its picture
};

// Plays the queue forward: the job at the head of `policy`'s order leads, jobs of its size that follow fill its batch,
// and the batch runs until one of them is done. `more` are jobs that are not in the snapshot, priced by LaneIndex.
// The result is in the order of finishing; it ends when all jobs of `more` are done, or, with `all`, all jobs.
//
// Costs a few microseconds per job that finishes.
std::vector<Expectation> Forecast(const SchedulingPolicy& policy, const SchedulerSnapshot& snapshot,
                                  absl::Span<const JobView* const> more, const CostModel& costs, absl::Time now,
                                  bool all);

}  // namespace stepcast
