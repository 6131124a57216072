#pragma once
// The work of a call that has ended before its jobs.

#include <functional>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "core/mutex.h"
#include "server/telemetry/logging.h"

namespace stepcast {

// Brings together who waits for the whole of a call's work and who will know it. Shared by both.
//
// Thread-safety: all methods may be called from any thread.
class LateWork {
 public:
  using Listener = std::function<void(const CallWork&)>;

  // Tells `listener`, on the thread of whichever of the two calls comes last. REQUIRES: called once.
  void Await(Listener listener);
  // The jobs have ended and took this. REQUIRES: called once.
  void Settle(const CallWork& work);

 private:
  Mutex mutex_;
  Listener listener_ ABSL_GUARDED_BY(mutex_);
  std::optional<CallWork> work_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast
