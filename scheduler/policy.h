#pragma once
// Decides which jobs step next.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/job.h"
#include "scheduler/step_executor.h"
#include "scheduler/step_plan.h"

namespace stepcast {

// What a policy may know of one live job.
struct JobView {
  const Job* job = nullptr;
  int64_t last_plan = 0;  // id of the last plan that contained it; 0: never planned
};

// A maintained view of the scheduler, not a copy made per tick.
struct SchedulerSnapshot {
  // All live jobs that may be planned, in order of arrival.
  absl::Span<const JobView> jobs;
  // Jobs of the group that `request_level` runs now, in row order; empty between groups.
  absl::Span<const JobId> group;
  ExecutorLimits limits;
};

// A scheduling policy: a pure function from what the scheduler sees to what the engine does next.
//
// Policies are stateless and idempotent: the same snapshot always yields the same plan. Whatever a policy
// wants to remember is a field of the snapshot.
//
// Thread-safety: const methods, no shared state; the engine thread is the only caller.
class SchedulingPolicy {
 public:
  virtual ~SchedulingPolicy() = default;

  virtual std::string_view name() const = 0;

  // Returns what to run at `now`, or an empty plan (with `wake_at`, if waiting may help). Leaves `id` 0.
  // REQUIRES: every job in `snapshot` is live.
  // ENSURES: all planned jobs share one key; their rows fit the limits.
  virtual StepPlan Next(const SchedulerSnapshot& snapshot, absl::Time now) const = 0;
};

// Settings of the policies that have any.
struct PolicyOptions {
  std::string name = "fifo";                          // "serial" | "fifo" | "request_level"
  absl::Duration max_queue_delay = absl::ZeroDuration();  // request_level: how long a batch waits to fill
};

// Errors: INVALID_ARGUMENT naming `scheduler.policy` and the known names.
absl::StatusOr<std::unique_ptr<SchedulingPolicy>> MakePolicy(const PolicyOptions& options);

}  // namespace stepcast
