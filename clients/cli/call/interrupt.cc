#include "clients/cli/call/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "clients/cli/call/exit_code.h"

namespace stepcast::cli {
namespace {

// Written by the signal handler; lives as long as the process.
int interrupt_fd = -1;
std::atomic<bool> deferring = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void Tell(int event_fd) {
  const uint64_t one = 1;
  // Cannot fail: the counter has room for more signals than anyone sends.
  [[maybe_unused]] const ssize_t written = write(event_fd, &one, sizeof(one));
}

void OnSignal(int /*signal*/) {
  const int saved = errno;
  if (!deferring) _exit(kInterrupted);
  Tell(interrupt_fd);
  errno = saved;
}

}  // namespace

void InstallInterrupts() {
  interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction hangup = {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // nohup ignores it
}

bool Interrupted() {
  pollfd fd = {interrupt_fd, POLLIN, 0};
  return interrupt_fd >= 0 && poll(&fd, 1, 0) > 0;
}

int InterruptFd() { return interrupt_fd; }

CancelOnInterrupt::CancelOnInterrupt(std::function<void()> cancel)
    : cancel_(std::move(cancel)), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  deferring = true;
  thread_ = std::thread([this] {
    pollfd fds[] = {{interrupt_fd, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents & POLLIN) cancel_();
  });
}

CancelOnInterrupt::~CancelOnInterrupt() {
  Tell(stop_fd_);
  thread_.join();
  close(stop_fd_);
  deferring = false;
}

}  // namespace stepcast::cli
