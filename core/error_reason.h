#pragma once
// The machine-readable reason a Status carries from where it arose to the wire, where it becomes
// google.rpc.ErrorInfo.reason. docs/errors.md has one section per reason.

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/types/optional.h"

namespace stepcast {

inline constexpr char kErrorReasonUrl[] = "stepcast.dev/reason";

// Returns `status` with `reason` ("QUEUE_FULL", upper snake case) attached. OK stays OK, without a reason.
inline absl::Status WithReason(absl::Status status, std::string_view reason) {
  status.SetPayload(kErrorReasonUrl, absl::Cord(absl::string_view(reason.data(), reason.size())));
  return status;
}

// The reason attached to `status`; nullopt when none was.
inline std::optional<std::string> ErrorReason(const absl::Status& status) {
  const absl::optional<absl::Cord> reason = status.GetPayload(kErrorReasonUrl);
  if (!reason.has_value()) return std::nullopt;
  return std::string(*reason);
}

}  // namespace stepcast
