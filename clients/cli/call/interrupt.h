#pragma once
// Ctrl-C ends the program at once while it only waits, and in order while a call runs.

#include <functional>
#include <thread>

namespace stepcast::cli {

// To be called once, before any thread starts. SIGINT, SIGTERM and SIGHUP then end the program with kInterrupted, but
// for those that CancelOnInterrupt defers. Writing to a closed pipe or beyond a file size limit becomes an error of the
// write.
void InstallInterrupts();

// Whether a signal was deferred.
bool Interrupted();

// Readable from the first deferred signal on; for poll().
int InterruptFd();

// While it lives, a signal calls `cancel` (once, from a thread of its own) instead of ending the program, so that the
// server stops painting at once and no half-written file stays. One at a time.
class CancelOnInterrupt {
 public:
  explicit CancelOnInterrupt(std::function<void()> cancel);
  ~CancelOnInterrupt();

  CancelOnInterrupt(const CancelOnInterrupt&) = delete;
  CancelOnInterrupt& operator=(const CancelOnInterrupt&) = delete;

 private:
  const std::function<void()> cancel_;
  int stop_fd_ = -1;
  std::thread thread_;
};

}  // namespace stepcast::cli
