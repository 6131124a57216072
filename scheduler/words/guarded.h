#pragma once
// Calls into an executor.

#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/error_reason.h"

namespace stepcast {

// What `call`, a function that returns a status, returns. The one place where an exception of an executor becomes one:
// INTERNAL with reason ENGINE_ERROR.
template <typename Call>
absl::Status Guarded(Call call) {
  try {
    return call();
  } catch (const std::exception& error) {
    return WithReason(absl::InternalError(absl::StrCat("the executor threw: ", error.what())), "ENGINE_ERROR");
  } catch (...) {
    return WithReason(absl::InternalError("the executor threw something that is no std::exception"), "ENGINE_ERROR");
  }
}

}  // namespace stepcast
