#pragma once
// Waiting for another thread in a test, without sleeping.

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace stepcast {

// After this long a test decides that what it waits for will never happen. Never reached by a passing test.
inline constexpr absl::Duration kAwaitLimit = absl::Minutes(1);

// A gate that opens once. Whoever passes waits until it is open.
//
// Thread-safety: every method may be called from any thread.
class Notification {
 public:
  void Notify() {
    MutexLock lock(mutex_);
    notified_ = true;
    // Under the lock: whoever waits may destroy this gate as soon as it sees it open.
    changed_.NotifyAll();
  }

  // False when kAwaitLimit is over.
  [[nodiscard]] bool Await() {
    MutexLock lock(mutex_);
    const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
    while (!notified_ && RealClock().Now() < giving_up) changed_.WaitFor(mutex_, kAwaitLimit);
    return notified_;
  }

  bool notified() const {
    MutexLock lock(mutex_);
    return notified_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool notified_ ABSL_GUARDED_BY(mutex_) = false;
};

// Waits, without sleeping for a fixed time, until `condition` holds; false after kAwaitLimit, which means never.
[[nodiscard]] inline bool Await(const std::function<bool()>& condition) {
  const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
  while (!condition()) {
    if (RealClock().Now() > giving_up) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace stepcast
