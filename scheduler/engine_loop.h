#pragma once
// One device's loop: a mailbox, a scheduler, an executor and the thread that turns them.

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "scheduler/job.h"
#include "scheduler/policy.h"
#include "scheduler/step_executor.h"

namespace stepcast {

struct EngineLoopOptions {
  PolicyOptions policy;
  int max_queued_jobs = 64;  // waiting jobs beyond which a request is refused, 1..100000
};

// What an admitted request is told.
struct Admission {
  std::vector<JobId> jobs;  // one per image, in image order
  int queue_position = 0;   // jobs ahead of the first one that have not started
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
// Thread-safety: every public method may be called from any thread; none waits for a tick. Callbacks and
// sinks run on the engine thread.
class EngineLoop {
 public:
  // `executor` is handed over; `clock` and `metrics` must outlive the loop.
  // Errors: INVALID_ARGUMENT for unknown policies or limits out of range.
  static absl::StatusOr<std::unique_ptr<EngineLoop>> Create(EngineLoopOptions options,
                                                            std::unique_ptr<StepExecutor> executor,
                                                            const Clock& clock, EngineMetrics& metrics);

  // Cancels what is left and joins the thread.
  ~EngineLoop();

  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  // Admits all jobs of one request or none. `on_decision` is called exactly once, before any event of these
  // jobs: with the admission, or RESOURCE_EXHAUSTED (queue full), UNAVAILABLE (draining or stopped). After a
  // refusal the sink hears nothing.
  void Submit(std::vector<JobSpec> specs, absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision);

  // Ends a job at the next tick boundary with `reason` (CANCELLED, DEADLINE_EXCEEDED). Unknown and finished
  // ids are ignored.
  void Cancel(JobId job, absl::Status reason);

  // Refuses new jobs from now on and lets the admitted ones finish; at `deadline` cancels the rest with
  // UNAVAILABLE. `on_drained` is called once no job is left.
  void Drain(absl::Time deadline, absl::AnyInvocable<void() &&> on_drained);

  EngineStatus status() const;

 private:
  struct Impl;
  explicit EngineLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stepcast
