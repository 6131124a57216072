#pragma once
// The state machine of one device: which jobs live, what each does next, who is told (scheduler/README.md).

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/metrics.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/decide/eviction.h"
#include "scheduler/decide/invariants.h"
#include "scheduler/decide/job_index.h"
#include "scheduler/decide/lane_index.h"
#include "scheduler/decide/policy.h"
#include "scheduler/decide/preview_budget.h"
#include "scheduler/decide/promise_books.h"
#include "scheduler/decide/step_scheduler_options.h"
#include "scheduler/decide/timetable.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_executor.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

struct LiveJob;
struct Flight;

// Owns the live jobs. No thread, lock or clock inside: same calls with the same times, same plans and events.
// Several plans may be in flight; a job is in at most one of them. Events go to the jobs' sinks during the calls; a sink
// must not call back.
// Thread-safety: none; its owner locks.
class StepScheduler {
 public:
  // `metrics` must outlive the scheduler.
  StepScheduler(std::unique_ptr<SchedulingPolicy> policy, const StepSchedulerOptions& options, EngineMetrics& metrics);

  // Jobs still live end with INTERNAL: an owner that cares calls CancelAll first.
  ~StepScheduler();
  StepScheduler(const StepScheduler&) = delete;
  StepScheduler& operator=(const StepScheduler&) = delete;

  // After so long without jobs, what was measured last may say little of the device now.
  static constexpr absl::Duration kPause = absl::Seconds(10);

  // Whether nobody was here for that long, but once somebody was. Rest then forgets how slow the device was last, and
  // the first job is not given up before its deadline: costs of a bad time would turn away everybody who could correct
  // them. Submit rests by itself; who asks about admission does before.
  bool Rested(absl::Time now) const;
  void Rest(absl::Time now);

  // Takes jobs that were admitted. StepExecutor::Start comes before or after, but before the next Next.
  // REQUIRES: ids greater than all before.
  void Submit(std::vector<std::unique_ptr<Job>> jobs, absl::Time now);

  // Takes note of what is to be encoded (Job::to_encode) of a job without a plan. Unknown ids are ignored.
  void EncodeOnly(JobId id, std::vector<int> items, absl::Time now);

  // Ends a job with `reason`, no OK: at once, or, when a plan in flight contains it, as that plan completes, whatever
  // its result. DEADLINE_EXCEEDED makes it kExpired, anything else kCancelled. Unknown ids are ignored.
  void Cancel(JobId id, const absl::Status& reason, absl::Time now);
  void CancelAll(const absl::Status& reason, absl::Time now);

  // Cancels a job that is in no plan, and tells what it can go on from. Unknown ids are ignored.
  void HandOut(JobId id, SavedState state, const absl::Status& reason, absl::Time now);

  // Ends a job that is in no plan as kFailed. Unknown ids are ignored. REQUIRES: !status.ok().
  void Fail(JobId id, const absl::Status& status, absl::Time now);

  // Ends the jobs whose deadline has come, those in flight as their plan completes.
  void Expire(absl::Time now);

  // Expires, ends the jobs whose deadline cannot be met, then returns what comes next. An empty plan needs no Complete.
  StepPlan Next(absl::Time now);

  // The jobs of a plan in flight, in its order, for the executor.
  std::vector<Job*> JobsOf(const StepPlan& plan) const;

  // Publishes what a plan did. Missing results fail their jobs. REQUIRES: `plan` is in flight.
  void Complete(const StepPlan& plan, std::vector<StepResult> results, absl::Time now);

  // Tells every job that has heard nothing for half of options.heartbeat where it stands. Cheap when not due.
  void Heartbeat(absl::Time now);

  // When Expire, Heartbeat or Next will have something to do even if nothing else happens; infinite future if never.
  absl::Time NextEvent() const;

  SchedulerSnapshot Snapshot() const;
  const SchedulingPolicy& policy() const { return *policy_; }

  // What this scheduler has learnt about its device. Complete teaches it.
  const CostModel& costs() const { return costs_; }
  // Takes a profile's measurements of `key`. Without a usable point it changes nothing.
  void SetCurve(const BatchKey& key, const std::vector<CostPoint>& points);

  // Takes note that no more than `rows` of `key` fit the device's memory.
  void LowerRowCap(const BatchKey& key, int rows);
  // A live job; null when there is none of that id.
  Job* Find(JobId id) const;

  const LaneIndex& lanes() const { return lanes_; }
  const PromiseBooks& promises() const { return promises_; }
  PromiseBooks& promises() { return promises_; }
  int waiting() const { return waiting_; }
  int live() const { return static_cast<int>(records_.size()); }
  int64_t plans_made() const { return newest_plan_; }

  // OK, or the first violation since construction. REQUIRES: options.checks is not kOff.
  absl::Status CheckInvariants();

 private:
  LiveJob* RecordOf(JobId id) const;
  void ExpireHopeless(absl::Time now);
  void Leave(LiveJob& record, const absl::Status& reason, absl::Time now);
  void Launch(StepPlan& plan, absl::Time now);
  void Remember(const StepPlan& plan);
  void Evict(LiveJob& record);
  void BeginTick(LiveJob& record, const StepPlan& plan, absl::Time now);
  void Learn(const Flight& flight, absl::Span<const StepResult> results, absl::Time now);
  void EndTick(const Flight& flight, size_t member, const DeviceCost& share, StepResult result, absl::Time now);
  void EndLast(LiveJob& record, StepResult& result, absl::Time now);
  void Report(LiveJob& record, StepResult& result, absl::Time now);
  void End(LiveJob& record, JobStatus outcome, absl::Status status, absl::Time now);
  void AfterCall();

  const std::unique_ptr<SchedulingPolicy> policy_;
  const StepSchedulerOptions options_;
  EngineMetrics& metrics_;
  CostModel costs_;
  absl::flat_hash_map<JobId, std::unique_ptr<LiveJob>> records_;  // the live jobs
  JobIndex index_;
  LaneIndex lanes_;
  PromiseBooks promises_;
  TickMemory memory_;
  PreviewBudget previews_;
  ResidentSet residents_;
  std::vector<const JobView*> group_;
  absl::flat_hash_map<int64_t, std::unique_ptr<Flight>> flights_;  // by plan id
  Timetable timetable_;
  std::optional<absl::Time> last_tick_;  // its end
  int64_t newest_plan_ = 0;
  int waiting_ = 0;
  std::unique_ptr<SchedulerInvariants> invariants_;  // null when checks are off
};

}  // namespace stepcast
