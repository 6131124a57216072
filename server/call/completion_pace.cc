#include "server/call/completion_pace.h"

#include <algorithm>

namespace stepcast {

void CompletionPace::OnImageEnded(absl::Time now) {
  constexpr double kWeight = 0.2;  // of the newest interval: about the last five images count
  MutexLock lock(mutex_);
  if (last_ != absl::InfinitePast()) {
    const absl::Duration interval = std::max(now - last_, absl::ZeroDuration());
    interval_ = interval_ == absl::InfiniteDuration() ? interval : interval_ + kWeight * (interval - interval_);
  }
  last_ = now;
}

absl::Duration CompletionPace::RetryAfter(int images) const {
  MutexLock lock(mutex_);
  if (interval_ == absl::InfiniteDuration()) return absl::Seconds(1);
  return std::clamp(interval_ * images, absl::Milliseconds(100), absl::Seconds(30));
}

}  // namespace stepcast
