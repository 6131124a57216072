#include "scheduler/loop/mailbox.h"

#include <utility>

namespace stepcast {

bool Mailbox::Post(Mail& mail) {
  bool away = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    letters_.push_back(std::move(mail));
    away = away_;
  }
  // Whoever is told too late, because the engine leaves or returns just now, looks into the box by itself.
  (away ? unattended_ : changed_).NotifyOne();
  return true;
}

void Mailbox::Wake() {
  {
    MutexLock lock(mutex_);
    woken_ = poked_ = true;
  }
  changed_.NotifyOne();
  unattended_.NotifyOne();
}

void Mailbox::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.NotifyOne();
  unattended_.NotifyOne();
}

bool Mailbox::Take(absl::Duration timeout, std::deque<Mail>& mail) {
  mail.clear();
  MutexLock lock(mutex_);
  // One wait: the caller looks at its clock again after an early return, this class has none.
  if (letters_.empty() && !woken_ && !closed_ && timeout > absl::ZeroDuration()) changed_.WaitFor(mutex_, timeout);
  woken_ = false;
  mail.swap(letters_);
  return !closed_;
}

void Mailbox::Leave(absl::Time due) {
  bool tell = false;
  {
    MutexLock lock(mutex_);
    away_ = true;
    due_ = due;
    // A desk that sleeps longer by a tick or two is left asleep: it sees for itself.
    tell = !letters_.empty() || due < asleep_until_;
  }
  if (tell) unattended_.NotifyOne();
}

void Mailbox::Return() {
  MutexLock lock(mutex_);
  away_ = false;
}

bool Mailbox::AwaitUnattended(const Clock& clock) {
  MutexLock lock(mutex_);
  if (!closed_ && !poked_ && !(away_ && !letters_.empty())) {
    const absl::Time now = clock.Now();
    // What is due while the engine is there is the engine's; but a desk that slept until it leaves would have to be
    // woken in every tick.
    asleep_until_ = away_ || due_ > now ? due_ : absl::InfiniteFuture();
    const absl::Duration timeout = asleep_until_ - now;
    if (timeout > absl::ZeroDuration()) unattended_.WaitFor(mutex_, timeout);
    asleep_until_ = absl::InfinitePast();
  }
  poked_ = false;
  return !closed_;
}

std::optional<Mail> Mailbox::TakeUnattended() {
  MutexLock lock(mutex_);
  if (!away_ || letters_.empty()) return std::nullopt;
  std::optional<Mail> letter = std::move(letters_.front());
  letters_.pop_front();
  return letter;
}

void Mailbox::SetDue(absl::Time due) {
  MutexLock lock(mutex_);
  due_ = due;
}

}  // namespace stepcast
