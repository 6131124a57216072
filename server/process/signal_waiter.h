#pragma once
// Waiting for SIGTERM, SIGINT, SIGHUP or a nudge, without signal handlers.

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace stepcast {

// Blocks SIGTERM, SIGINT and SIGHUP for the calling thread and all that it starts from now on, and reads them from a
// file descriptor instead. Make it before any other thread. Signals that came since Block are read first.
//
// Thread-safety: Wait belongs to one thread, Nudge to all.
class SignalWaiter {
 public:
  enum class Wake { kTimeout, kNudge, kSignal, kReload };  // kReload: SIGHUP

  // Holds the signals back until a waiter reads them, also across exec: what Create does, for who cannot wait so long.
  // Until a handler or a waiter is there they would end the process without a word, or, where it is the first of its
  // namespace, be lost. Returns whether the kernel did it.
  static bool Block();

  // Errors: INTERNAL when the kernel has no descriptor left.
  static absl::StatusOr<std::unique_ptr<SignalWaiter>> Create();
  ~SignalWaiter();

  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;

  // Returns at the first signal or nudge, at the latest after `timeout` (rounded up to a millisecond). Signals first.
  Wake Wait(absl::Duration timeout);

  // Makes the present or the next Wait return.
  void Nudge();

 private:
  SignalWaiter(int signals, int nudges) : signals_(signals), nudges_(nudges) {}

  const int signals_;  // signalfd
  const int nudges_;   // eventfd
};

}  // namespace stepcast
