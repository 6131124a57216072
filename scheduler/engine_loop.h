#pragma once
// One device's loop: a mailbox, a scheduler, an executor and the thread that turns them.

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "scheduler/job.h"
#include "scheduler/mailbox.h"
#include "scheduler/policy.h"
#include "scheduler/step_executor.h"

namespace stepcast {

struct EngineLoopOptions {
  PolicyOptions policy = {};
  // Every live job is told its progress at least this often, also while queued; a longer tick delays it.
  absl::Duration heartbeat = absl::Seconds(10);
  int max_queued_jobs = 64;  // waiting jobs beyond which a request is refused, 1..100000
};

// A view for GetServerInfo and health; consistent within itself.
struct EngineStatus {
  int waiting = 0;
  int running = 0;
  int64_t ticks = 0;
  absl::Time last_progress;  // end of the last tick, or the loop's start
  bool draining = false;
};

// Runs jobs on one device until stopped.
//
// Thread-safety: every public method may be called from any thread; none but Stop waits for a tick. Callbacks and
// sinks run on the engine thread and may call every method but Stop; after Stop, Submit and Drain call back on
// the caller's thread.
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
  // jobs: with the admission, or RESOURCE_EXHAUSTED (queue full), DEADLINE_EXCEEDED (too late already),
  // UNAVAILABLE (draining or stopped), INVALID_ARGUMENT (no specs). After a refusal the sink hears nothing.
  void Submit(std::vector<JobSpec> specs, absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision);

  // Ends a job at the next tick boundary with `reason` (CANCELLED, DEADLINE_EXCEEDED). Unknown and finished
  // ids are ignored.
  void Cancel(JobId job, absl::Status reason);

  // Refuses new jobs from now on and lets the admitted ones finish; at `deadline` cancels the rest with
  // UNAVAILABLE. `on_drained` is called once no job is left.
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
