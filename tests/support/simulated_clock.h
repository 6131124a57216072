#pragma once
// Time that moves when a test says so.

#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace stepcast {

// Starts at the Unix epoch. Whoever waits for a time hears of a jump through OnAdvance, for example
// `clock.OnAdvance([&] { loop->Wake(); })`.
//
// Thread-safety: every method may be called from any thread. Listeners run on the thread that advances.
class SimulatedClock final : public Clock {
 public:
  absl::Time Now() const override;

  // REQUIRES: duration >= 0.
  void Advance(absl::Duration duration);

  // Goes to `time`; does nothing when it is not in the future.
  void AdvanceTo(absl::Time time);

  // `listener` is called after every jump. It must not call OnAdvance.
  void OnAdvance(std::function<void()> listener);

 private:
  void TellListeners();

  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::UnixEpoch();
  std::vector<std::function<void()>> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast
