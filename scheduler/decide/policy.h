#pragma once
// Decides which jobs step next.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/words/snapshot.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// A scheduling policy: a pure function from what the scheduler sees to what the engine does next.
//
// Policies are stateless and idempotent: the same snapshot always yields the same plan. Whatever a policy
// wants to remember is a field of the snapshot.
//
// Thread-safety: const methods, no shared state; its scheduler's owner locks.
class SchedulingPolicy {
 public:
  virtual ~SchedulingPolicy() = default;

  virtual std::string_view name() const = 0;

  // Whether a job that cannot meet its client's deadline even alone is ended at once.
  virtual bool expires_hopeless() const { return false; }

  // Whether classes and shares go before arrival: who comes later may be served earlier.
  virtual bool honours_shares() const { return false; }

  // What forecasts go by: the order in which `snapshot`'s jobs and `more` (priced like those, in no lane) would lead
  // if nobody else came, and the most rows a tick of `key` may have that `lead` leads, at `now`, while jobs with
  // `live_rows` rows want it.
  virtual std::vector<const JobView*> Order(const SchedulerSnapshot& snapshot, absl::Span<const JobView* const> more,
                                            absl::Time now) const;
  virtual int RowLimit(const BatchKey& key, const JobView& lead, int live_rows, const SchedulerSnapshot& snapshot,
                       const CostModel& costs, absl::Time now) const;

  // Returns what to run at `now`, or an empty plan (with `wake_at`, if waiting may help). Leaves `id` and `predicted`
  // zero. REQUIRES: every job in `snapshot` is live. ENSURES: all planned jobs share one key and none was in flight;
  // their rows fit the limits; `wake_at` > now.
  virtual StepPlan Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const = 0;
};

// Settings of the policies that have any.
struct PolicyOptions {
  std::string name = "slo";                               // "slo" | "fifo" | "request_level" | "serial"
  absl::Duration max_queue_delay = absl::ZeroDuration();  // request_level: how long a batch waits to fill, >= 0
  bool promises = true;  // slo: CheckAdmission decided who came in, so that deadlines are promises
};

// Errors: INVALID_ARGUMENT naming `scheduler.policy` and the known names.
absl::StatusOr<std::unique_ptr<SchedulingPolicy>> MakePolicy(const PolicyOptions& options);

}  // namespace stepcast
