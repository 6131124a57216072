#pragma once
// The one place where an exception of LibTorch becomes a Status.

#include <functional>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace stepcast::engine {

// Receives texts that clients must not see: shapes, addresses, file names, stack traces.
// Called on the thread that failed; must not throw.
using ErrorLog = std::function<void(std::string_view text)>;

// Runs tensor code and turns what it throws into a Status.
//
// The client learns an opaque error id, the log the id and the whole text. Run returns after the exception
// object is gone, so that whoever recovers (frees caches, retries with fewer rows) is not held back by
// tensors which the exception pins.
//
// Thread-safety: const; as safe as the log.
class TorchGuard {
 public:
  // `log` may be empty.
  explicit TorchGuard(ErrorLog log = nullptr);

  // Returns OK when `body` returns.
  // Errors: RESOURCE_EXHAUSTED (reason DEVICE_MEMORY) when memory ran out, of the device or of the host;
  // UNAVAILABLE (reason DEVICE_LOST) when the device is of no more use to this process; INTERNAL (reason
  // ENGINE_ERROR) for everything else. `what` names the work ("denoise"), for the message.
  absl::Status Run(absl::string_view what, absl::FunctionRef<void()> body) const;

 private:
  ErrorLog log_;
};

// Whether `status` says that memory ran out, so that less work at once may succeed.
bool IsOutOfMemory(const absl::Status& status);

}  // namespace stepcast::engine
