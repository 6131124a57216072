#pragma once
// One device's loop: a mailbox, a scheduler, an executor, the thread that turns them and the one that answers
// meanwhile.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "scheduler/costs/learn_costs.h"
#include "scheduler/decide/admission.h"
#include "scheduler/decide/policy.h"
#include "scheduler/decide/scheduler_observer.h"
#include "scheduler/loop/mailbox.h"
#include "scheduler/loop/schedule_view.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

struct EngineLoopOptions {
  PolicyOptions policy = {};
  // Every live job is told its progress at least this often, also while queued and during a tick.
  absl::Duration heartbeat = absl::Seconds(10);
  AdmissionLimits admission = {};
  std::map<std::string, double> tenant_weights = {};  // > 0; a tenant that is not named weighs 1
  ProfileOptions profile = {};
  // Whether a drain hands out, with what they can go on from (JobSaved), the jobs that it does not expect to be done by
  // its deadline, at once, and at the deadline the others. Else those are cancelled at the deadline.
  bool hands_out = false;
  SchedulerObserver* observer = nullptr;  // not owned; outlives the loop
  // Ids of this loop's jobs: id_first, id_first + id_stride, ... Loop i of n takes i + 1 and n, so that an id names
  // its loop. 1 <= id_first <= id_stride.
  int64_t id_first = 1;
  int64_t id_stride = 1;
};

// A view for GetServerInfo and health; consistent within itself.
struct EngineStatus {
  int waiting = 0;
  int running = 0;
  int parked = 0;  // of the running ones, those whose tensors wait outside the device
  int64_t ticks = 0;
  absl::Time last_progress = {};  // end of the last tick, or the loop's start
  bool draining = false;
  bool ready = false;           // the profile is done; jobs are taken before that, too, and wait
  bool lost = false;            // the device is gone: every job has ended with UNAVAILABLE, new ones are refused
  absl::Duration backlog = {};  // predicted device time of everything admitted
};

// Runs jobs on one device until stopped.
//
// Requests are decided, cancels done and questions answered whether a tick runs or not (scheduler/loop/front_desk.h); a
// job that was let in during a tick is planned from the tick's end on. Until the loop is ready its mail waits: answers
// need costs.
//
// Thread-safety: every public method may be called from any thread; none but Stop waits for a tick. Callbacks and sinks
// run on one of the loop's two threads, sinks one event at a time, and may call every method but Stop; after Stop,
// callbacks run on the caller's thread. They must not wait: the next tick may.
class EngineLoop {
 public:
  // `executor` is handed over; `clock` and `metrics` must outlive the loop.
  // Errors: INVALID_ARGUMENT for unknown policies or limits out of range, naming the field.
  static absl::StatusOr<std::unique_ptr<EngineLoop>> Create(EngineLoopOptions options,
                                                            std::unique_ptr<StepExecutor> executor, const Clock& clock,
                                                            EngineMetrics& metrics);

  // Stops.
  ~EngineLoop();

  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  // Admits all jobs of one request or none. `on_decision` is called exactly once, before any event of these
  // jobs: with the admission, or an error of CheckAdmission (scheduler/decide/admission.h), or UNAVAILABLE (draining,
  // stopped or device lost). After a refusal the sink hears nothing.
  void Submit(std::vector<JobSpec> specs, absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision);

  // What Submit would answer, by the same rules; nothing is admitted. `on_verdict` is called exactly once.
  void Estimate(std::vector<JobSpec> specs, absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict);

  // Measures what is not known of `keys` with synthetic ticks, one at a time and only while no job is here; real ticks
  // teach meanwhile, and what the profile's budget does not allow is left to them.
  void Learn(std::vector<BatchKey> keys);

  // Calls `on_view` exactly once with the loop as it stands; after Stop with an empty view.
  void Snapshot(absl::AnyInvocable<void(ScheduleView) &&> on_view);

  // Ends a job with `reason` (CANCELLED, DEADLINE_EXCEEDED): at once, or, if it is part of the running tick, with it.
  // Unknown and finished ids are ignored.
  void Cancel(JobId job, absl::Status reason);

  // Refuses new jobs from now on and lets the admitted ones finish; at `deadline` cancels the rest with
  // UNAVAILABLE, or hands them out. `on_drained` is called once no job is left.
  void Drain(absl::Time deadline, absl::AnyInvocable<void() &&> on_drained);

  // Ends all jobs with UNAVAILABLE, as soon as the running tick is over, and joins the thread. Idempotent.
  void Stop();

  // Makes the loop look at its clock now. Real clocks need no help; one that jumps does.
  void Wake();

  EngineStatus status() const;

 private:
  struct Impl;
  explicit EngineLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stepcast
