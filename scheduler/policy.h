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
#include "scheduler/cost_model.h"
#include "scheduler/job.h"
#include "scheduler/step_executor.h"
#include "scheduler/step_plan.h"

namespace stepcast {

struct KeyView;

// What a policy may know of one live job. Stays at its address while the job lives.
struct JobView {
  const Job* job = nullptr;
  const KeyView* queue = nullptr;  // the key it waits for
  int rows = 1;                    // job->rows(), kept here because policies read it for every job
  int64_t last_plan = 0;           // id of the last plan that contained it; 0: never planned
  bool in_flight = false;          // in a plan that has not completed; must not be planned again before that
};

// The live jobs whose next tick has one key, those in flight included, in order of arrival. Never empty.
struct KeyView {
  BatchKey key;
  std::vector<const JobView*> jobs;
  int64_t last_plan = 0;   // id of the newest plan for this key since it has jobs; 0: none yet
  int64_t since_plan = 0;  // id of the newest plan of all when the key got its first job
};

// A maintained view of the scheduler, not a copy made per tick. Valid until the scheduler's next call.
struct SchedulerSnapshot {
  absl::Span<const JobView* const> jobs;   // all live jobs, in order of arrival (of id)
  absl::Span<const KeyView* const> keys;   // all keys that have jobs, in order of BatchKey
  absl::Span<const JobView* const> group;  // live members of the group `request_level` runs; empty between groups
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

  // Returns what to run at `now`, or an empty plan (with `wake_at`, if waiting may help). Leaves `id` and `predicted`
  // zero. REQUIRES: every job in `snapshot` is live. ENSURES: all planned jobs share one key and none was in flight;
  // their rows fit the limits; `wake_at` > now.
  virtual StepPlan Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const = 0;
};

// Settings of the policies that have any.
struct PolicyOptions {
  std::string name = "fifo";                              // "serial" | "fifo" | "request_level"
  absl::Duration max_queue_delay = absl::ZeroDuration();  // request_level: how long a batch waits to fill, >= 0
};

// Errors: INVALID_ARGUMENT naming `scheduler.policy` and the known names.
absl::StatusOr<std::unique_ptr<SchedulingPolicy>> MakePolicy(const PolicyOptions& options);

}  // namespace stepcast
