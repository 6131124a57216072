#include "tests/support/simulated_clock.h"

#include <utility>

namespace stepcast {

absl::Time SimulatedClock::Now() const {
  MutexLock lock(mutex_);
  return now_;
}

void SimulatedClock::Advance(absl::Duration duration) {
  {
    MutexLock lock(mutex_);
    now_ += duration;
  }
  TellListeners();
}

void SimulatedClock::AdvanceTo(absl::Time time) {
  {
    MutexLock lock(mutex_);
    if (time <= now_) return;
    now_ = time;
  }
  TellListeners();
}

void SimulatedClock::OnAdvance(std::function<void()> listener) {
  MutexLock lock(mutex_);
  listeners_.push_back(std::move(listener));
}

void SimulatedClock::TellListeners() {
  std::vector<std::function<void()>> listeners;
  {
    MutexLock lock(mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) listener();
}

}  // namespace stepcast
