#pragma once
// How other threads speak to a loop.

#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "scheduler/decide/admission.h"
#include "scheduler/loop/schedule_view.h"
#include "scheduler/words/job.h"

namespace stepcast {

// What an admitted request is told.
struct Admission {
  std::vector<JobId> jobs = {};  // one per image, in image order
  int queue_position = 0;        // jobs ahead of the first one that have not started
  absl::Duration wait = {};      // predicted, until the first of them starts
  absl::Duration total = {};     // predicted, until the last of them ends
  absl::Duration work = {};      // predicted, of all of them if each ran alone, one after the other
};

// The letters. Each is one call of EngineLoop.
struct SubmitMail {
  std::vector<JobSpec> specs;
  absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision;
};
struct CancelMail {
  JobId job;
  absl::Status reason;
};
struct DrainMail {
  absl::Time deadline;
  absl::AnyInvocable<void() &&> on_drained;
};
struct EstimateMail {
  std::vector<JobSpec> specs;
  absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict;
};
struct SnapshotMail {
  absl::AnyInvocable<void(ScheduleView) &&> on_view;
};
struct LearnMail {
  std::vector<BatchKey> keys;
};
using Mail = std::variant<SubmitMail, CancelMail, DrainMail, EstimateMail, SnapshotMail, LearnMail>;

// Letters in order of posting. Any thread posts. The engine takes them, but while it is away for a tick the desk does
// (scheduler/loop/front_desk.h), so that nobody waits for the tick. At most one of the two is told of a letter.
//
// Thread-safety: every method may be called from any thread; Take, Leave and Return from the engine's, AwaitUnattended
// from the desk's.
class Mailbox {
 public:
  // Returns false, and leaves `mail` as it is, when the box is closed.
  bool Post(Mail& mail);

  // Makes the next Take, or the one that waits now, return at once, and the desk look at its clock.
  void Wake();

  // No more posts; every Take returns at once from now on.
  void Close();

  // Waits until there is mail, a Wake, a Close, or `timeout` is over (<= 0: does not wait). Replaces the contents
  // of `mail` by the letters, oldest first. Returns false once the box is closed.
  bool Take(absl::Duration timeout, std::deque<Mail>& mail);

  // The engine goes away and is back. `due`: when the desk has something to do although no mail comes.
  void Leave(absl::Time due);
  void Return();

  // Waits until the engine is away and there is mail or something due, until a Wake or a Close; may return early.
  // Returns false once the box is closed.
  bool AwaitUnattended(const Clock& clock);
  // The oldest letter while the engine is away; nullopt when it is back or there is none.
  std::optional<Mail> TakeUnattended();
  // Something else is due next; until the engine leaves again.
  void SetDue(absl::Time due);

 private:
  Mutex mutex_;
  CondVar changed_;     // for the engine
  CondVar unattended_;  // for the desk
  std::deque<Mail> letters_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool poked_ ABSL_GUARDED_BY(mutex_) = false;  // as `woken_`, for the desk
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool away_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time due_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  // Until when the desk sleeps; infinite past while it does not.
  absl::Time asleep_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace stepcast
