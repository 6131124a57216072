#pragma once
// How other threads speak to an engine thread.

#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
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
using Mail = std::variant<SubmitMail, CancelMail, DrainMail, EstimateMail, SnapshotMail>;

// Letters in order of posting. Any thread posts, one thread takes; taking swaps the whole box, so a post waits
// for a pointer swap at most.
//
// Thread-safety: every method may be called from any thread; Take from one.
class Mailbox {
 public:
  // Returns false, and leaves `mail` as it is, when the box is closed.
  bool Post(Mail& mail);

  // Makes the next Take, or the one that waits now, return at once.
  void Wake();

  // No more posts; every Take returns at once from now on.
  void Close();

  // Waits until there is mail, a Wake, a Close, or `timeout` is over (<= 0: does not wait). Replaces the contents
  // of `mail` by the letters, oldest first. Returns false once the box is closed.
  bool Take(absl::Duration timeout, std::vector<Mail>& mail);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Mail> letters_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace stepcast
