#pragma once
// How the scheduler itself ends jobs.

#include "absl/status/status.h"
#include "core/error_reason.h"

namespace stepcast {

inline absl::Status EngineError(absl::string_view what) {
  return WithReason(absl::InternalError(what), "ENGINE_ERROR");
}

inline absl::Status TooLate() {
  return WithReason(absl::DeadlineExceededError("the deadline passed before the picture was finished"), "DEADLINE");
}

inline absl::Status Unreachable() {
  return WithReason(absl::DeadlineExceededError("the picture could not be finished before its deadline any more"),
                    "DEADLINE");
}

}  // namespace stepcast
