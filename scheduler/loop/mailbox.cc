#include "scheduler/loop/mailbox.h"

#include <utility>

namespace stepcast {

bool Mailbox::Post(Mail& mail) {
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    letters_.push_back(std::move(mail));
  }
  changed_.NotifyOne();
  return true;
}

void Mailbox::Wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.NotifyOne();
}

void Mailbox::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.NotifyOne();
}

bool Mailbox::Take(absl::Duration timeout, std::vector<Mail>& mail) {
  mail.clear();
  MutexLock lock(mutex_);
  // One wait: the caller looks at its clock again after an early return, this class has none.
  if (letters_.empty() && !woken_ && !closed_ && timeout > absl::ZeroDuration()) changed_.WaitFor(mutex_, timeout);
  woken_ = false;
  mail.swap(letters_);
  return !closed_;
}

}  // namespace stepcast
