#include "server/process/bounded_stop.h"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

namespace stepcast {

bool FinishesInTime(std::function<void()> work, absl::Duration limit, SignalWaiter& signals, const Clock& clock) {
  const auto done = std::make_shared<std::atomic<bool>>(false);
  std::thread worker([work = std::move(work), done, &signals] {
    work();
    *done = true;
    signals.Nudge();
  });
  const absl::Time end = clock.Now() + limit;
  while (!*done) {
    const absl::Duration left = end - clock.Now();
    if (left > absl::ZeroDuration() && signals.Wait(left) != SignalWaiter::Wake::kSignal) continue;
    worker.detach();
    return false;
  }
  worker.join();
  return true;
}

}  // namespace stepcast
