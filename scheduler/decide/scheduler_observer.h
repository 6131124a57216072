#pragma once
// Every input and output of a StepScheduler, in order: enough to replay a run exactly.

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/costs/cost_curve.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_executor.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// Thread-safety: called inside the scheduler's calls, one at a time, on whichever of its loop's threads makes them;
// must not call back and must not block.
class SchedulerObserver {
 public:
  virtual ~SchedulerObserver() = default;

  // A job came in.
  virtual void OnSubmit(const Job& job, absl::Time now) = 0;

  // A job that came in before needs fewer encodes than it might have: what its prompts mean was known when it was
  // started. Job::to_encode() has those that are left.
  virtual void OnEncodeOnly(const Job& /*job*/, absl::Time /*now*/) {}

  // A request was refused by CheckAdmission, for what it is or for want of room. The scheduler itself never heard of
  // it.
  virtual void OnRefuse(absl::Span<const JobSpec> /*request*/, const absl::Status& /*why*/, absl::Time /*now*/) {}

  // A live job was told to leave: by StepScheduler::Cancel (CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE) or Fail, or by
  // the scheduler itself because its deadline came or cannot be met (DEADLINE_EXCEEDED), which may happen in a Next
  // that makes no plan. If it is in flight it goes when its plan completes.
  virtual void OnLeave(JobId job, const absl::Status& reason, absl::Time now) = 0;

  // StepScheduler::Next made a plan that is not empty; `predicted` is filled in.
  virtual void OnPlan(const StepPlan& plan, absl::Time now) = 0;

  // Follows OnPlan where `wants_jobs` says so: the plan's jobs as they stand before the tick, in its order.
  virtual bool wants_jobs() const { return false; }
  virtual void OnPlanJobs(const StepPlan& /*plan*/, absl::Span<Job* const> /*jobs*/, absl::Time /*now*/) {}

  // A plan completed. `results` are as the executor gave them.
  virtual void OnComplete(const StepPlan& plan, absl::Span<const StepResult> results, absl::Time now) = 0;

  // What the scheduler was told of its device apart from ticks: a measured curve, and how many rows fit its memory.
  virtual void OnCurve(const BatchKey& /*key*/, absl::Span<const CostPoint> /*points*/) {}
  virtual void OnRowCap(const BatchKey& /*key*/, int /*rows*/) {}
};

}  // namespace stepcast
