#include "server/process/signal_waiter.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace stepcast {

namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

bool SignalWaiter::Block() {
  const sigset_t set = StopSignals();
  return pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0;
}

absl::StatusOr<std::unique_ptr<SignalWaiter>> SignalWaiter::Create() {
  if (!Block()) return absl::InternalError("cannot block signals");
  const sigset_t set = StopSignals();
  const int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return absl::InternalError("cannot make a signalfd: out of file descriptors");
  const int nudges = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (nudges < 0) {
    close(signals);
    return absl::InternalError("cannot make an eventfd: out of file descriptors");
  }
  return std::unique_ptr<SignalWaiter>(new SignalWaiter(signals, nudges));
}

SignalWaiter::~SignalWaiter() {
  close(signals_);
  close(nudges_);
}

SignalWaiter::Wake SignalWaiter::Wait(absl::Duration timeout) {
  const absl::Duration bounded = std::clamp(timeout, absl::ZeroDuration(), absl::Hours(1));
  const auto millis = static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(bounded, absl::Milliseconds(1))));
  pollfd fds[] = {{.fd = signals_, .events = POLLIN, .revents = 0}, {.fd = nudges_, .events = POLLIN, .revents = 0}};
  if (poll(fds, 2, millis) <= 0) return Wake::kTimeout;
  if ((fds[0].revents & POLLIN) != 0) {
    signalfd_siginfo info;
    if (read(signals_, &info, sizeof(info)) == sizeof(info)) {
      return info.ssi_signo == SIGHUP ? Wake::kReload : Wake::kSignal;
    }
  }
  uint64_t count = 0;
  return read(nudges_, &count, sizeof(count)) == sizeof(count) ? Wake::kNudge : Wake::kTimeout;
}

void SignalWaiter::Nudge() {
  const uint64_t one = 1;
  // Fails only when the counter is full of nudges that nobody has read yet.
  [[maybe_unused]] const ssize_t written = write(nudges_, &one, sizeof(one));
}

}  // namespace stepcast
