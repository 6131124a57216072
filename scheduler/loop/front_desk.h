#pragma once
// What mail does to a scheduler, and the lock around the two.

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "scheduler/costs/idle_profile.h"
#include "scheduler/decide/policy.h"
#include "scheduler/decide/step_scheduler.h"
#include "scheduler/loop/engine_loop.h"
#include "scheduler/loop/mailbox.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

// A loop's scheduler, and everything else that its engine thread shares with the desk thread, behind one lock. Both
// read mail here, so the order of the lock is the order of everything: of plans, admissions, ends and the recording.
// The engine holds the lock between ticks and never during one; meanwhile the desk judges, admits and cancels. What
// only the executor can do waits for the engine: starting the jobs that came in, freeing the tensors of those that
// ended.
//
// Decisions that admit, and the events of jobs, are told with the lock held: nothing may come between. Sinks and
// decisions take their own lock, post mail, and return. All other answers are given without it.
//
// Thread-safety: as annotated. Of `mutex`'s methods the engine's are marked; the others are for both threads.
class FrontDesk {
 public:
  using Answer = absl::AnyInvocable<void() &&>;

  FrontDesk(const EngineLoopOptions& options, std::unique_ptr<SchedulingPolicy> policy, const ExecutorLimits& limits,
            const Clock& clock, EngineMetrics& metrics);

  mutable Mutex mutex;

  // Does what a letter asks for. Null, or what is to be called once the lock is free.
  [[nodiscard]] Answer Read(Mail mail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Does what is due by the clock: ends a drain, expires jobs, tells those that wait where they stand.
  void Tend(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // When Tend has something to do next; infinite future if never.
  absl::Time NextDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Whom to tell that the last job is gone, if somebody waits for that and it is.
  [[nodiscard]] std::vector<Answer> TakeDrained() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Makes status() say how things stand.
  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const IdleProfile& profile() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return profile_; }
  StepScheduler& scheduler() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return scheduler_; }

  // The engine's. Costs are known from now on.
  void SetReady(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // A tick begins; one has ended. What the executor kept for jobs that ended in between is handed back.
  void BeginTick() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { in_tick_ = true; }
  [[nodiscard]] std::vector<std::unique_ptr<JobState>> EndTick(absl::Time now, bool device_lost)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // The jobs that came in since the last call and are to be started.
  [[nodiscard]] std::vector<JobId> TakeNew() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // The jobs that are to be handed out now: the loop drains, and they will not be done in time, or it is over.
  [[nodiscard]] std::vector<JobId> TakeHandOuts(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Why jobs end that are handed out.
  static absl::Status HandedOut();
  // What came of the synthetic tick that profile().Next() told.
  void OnLearned(const absl::Status& status, absl::Duration took) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Whoever is left of a lost device ends with UNAVAILABLE; nothing happens while it is not lost.
  void GiveUpIfLost(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // From now on everybody is refused.
  void Close() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { open_ = false; }
  // Whoever is left ends with UNAVAILABLE. REQUIRES: closed.
  void Stop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Any thread, without waiting for `mutex`.
  EngineStatus status() const ABSL_LOCKS_EXCLUDED(status_mutex_);
  void ShowDraining() ABSL_LOCKS_EXCLUDED(status_mutex_);

  // What becomes of a letter that came after the loop has stopped.
  static void Return(Mail mail);

 private:
  Answer Do(SubmitMail mail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Answer Do(CancelMail mail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Answer Do(DrainMail mail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Answer Do(EstimateMail mail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Answer Do(SnapshotMail mail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Answer Do(LearnMail mail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::StatusOr<AdmissionVerdict> Judge(absl::Span<const JobSpec> specs, absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Admission Admit(std::vector<JobSpec> specs, const AdmissionVerdict& verdict, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const EngineLoopOptions options_;
  const Clock& clock_;
  EngineMetrics& metrics_;
  // Of jobs that ended during a tick. Outlives the scheduler, which fills it.
  std::vector<std::unique_ptr<JobState>> left_behind_ ABSL_GUARDED_BY(mutex);
  bool in_tick_ ABSL_GUARDED_BY(mutex) = false;
  StepScheduler scheduler_ ABSL_GUARDED_BY(mutex);
  IdleProfile profile_ ABSL_GUARDED_BY(mutex);
  std::vector<JobId> new_jobs_ ABSL_GUARDED_BY(mutex);
  int64_t next_job_id_ ABSL_GUARDED_BY(mutex);
  bool open_ ABSL_GUARDED_BY(mutex) = true;
  bool draining_ ABSL_GUARDED_BY(mutex) = false;
  bool ready_ ABSL_GUARDED_BY(mutex) = false;
  bool lost_ ABSL_GUARDED_BY(mutex) = false;
  bool to_hand_out_ ABSL_GUARDED_BY(mutex) = false;  // the engine is to look who is late
  absl::Time drain_deadline_ ABSL_GUARDED_BY(mutex) = absl::InfiniteFuture();
  std::vector<Answer> on_drained_ ABSL_GUARDED_BY(mutex);
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex);

  mutable Mutex status_mutex_;
  EngineStatus status_ ABSL_GUARDED_BY(status_mutex_);
};

}  // namespace stepcast
