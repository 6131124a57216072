#pragma once
// Waiting for the last one to leave.

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace stepcast {

// Waits until `set`, which `mutex` guards, is empty; whoever empties it tells `emptied`. Returns false after `patience`
// of the machine's time: transports keep to no other.
template <typename Set>
bool AwaitEmpty(const Set& set, Mutex& mutex, CondVar& emptied, absl::Duration patience)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
  const absl::Time end = RealClock().Now() + patience;
  while (!set.empty()) {
    const absl::Duration left = end - RealClock().Now();
    if (left <= absl::ZeroDuration()) return false;
    emptied.WaitFor(mutex, left);
  }
  return true;
}

}  // namespace stepcast
