#include "server/process/drain.h"

#include <algorithm>

namespace stepcast {

void Drain::Signal() {
  const absl::Time now = clock_.Now();
  if (stage_ == DrainStage::kServing) {
    Enter(DrainStage::kLingering, now);
  } else {
    hurried_ = true;
  }
}

absl::Duration Drain::Advance() {
  const absl::Time now = clock_.Now();
  if (stage_ == DrainStage::kLingering && (hurried_ || now >= until_)) Enter(DrainStage::kFinishing, now);
  if (stage_ == DrainStage::kFinishing) {
    if (actions_.Idle()) {
      Enter(DrainStage::kDone, now);
    } else if (hurried_ || now >= until_) {
      Enter(DrainStage::kCancelling, now);
    }
  }
  if (stage_ == DrainStage::kCancelling && (actions_.Idle() || now >= until_)) Enter(DrainStage::kDone, now);
  return std::max(until_ - now, absl::ZeroDuration());
}

void Drain::Enter(DrainStage stage, absl::Time now) {
  stage_ = stage;
  switch (stage) {
    case DrainStage::kServing:
      break;
    case DrainStage::kLingering:
      until_ = now + config_.linger;
      actions_.AnnounceNotReady();
      break;
    case DrainStage::kFinishing:
      until_ = now + config_.timeout;
      actions_.RefuseNew();
      actions_.FinishAdmitted(until_);
      break;
    case DrainStage::kCancelling:
      until_ = now + kCancelGrace;
      actions_.CancelRest();
      break;
    case DrainStage::kDone:
      until_ = now;
      break;
  }
}

}  // namespace stepcast
