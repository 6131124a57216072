#include "server/call/late_work.h"

#include <utility>

namespace stepcast {

void LateWork::Await(Listener listener) {
  CallWork work;
  {
    MutexLock lock(mutex_);
    if (!work_.has_value()) {
      listener_ = std::move(listener);
      return;
    }
    work = *work_;
  }
  listener(work);
}

void LateWork::Settle(const CallWork& work) {
  Listener listener;
  {
    MutexLock lock(mutex_);
    work_ = work;
    listener = std::move(listener_);
  }
  if (listener) listener(work);
}

}  // namespace stepcast
