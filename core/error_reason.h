#pragma once
// The machine-readable reason a Status carries from where it arose to the wire, where it becomes
// google.rpc.ErrorInfo.reason. docs/errors.md has one section per reason.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace stepcast {

inline constexpr char kErrorReasonUrl[] = "stepcast.dev/reason";
inline constexpr char kRetryDelayUrl[] = "stepcast.dev/retry-delay";

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

// Returns `status` with the time after which the same call may succeed, >= 0; on the wire it becomes
// google.rpc.RetryInfo. OK stays OK, without a delay.
inline absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  const absl::Duration bounded = std::clamp(delay, absl::ZeroDuration(), absl::Hours(24));
  const std::string nanoseconds = absl::StrCat(absl::ToInt64Nanoseconds(bounded));
  status.SetPayload(kRetryDelayUrl, absl::Cord(absl::string_view(nanoseconds)));
  return status;
}

// The delay attached to `status`; nullopt when none was.
inline std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kRetryDelayUrl);
  int64_t nanoseconds = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &nanoseconds)) return std::nullopt;
  return absl::Nanoseconds(nanoseconds);
}

}  // namespace stepcast
