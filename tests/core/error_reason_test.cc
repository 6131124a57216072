#include "core/error_reason.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(ErrorReasonTest, ReasonAndDelayTravelWithTheStatus) {
  const absl::Status status =
      WithRetryDelay(WithReason(absl::ResourceExhaustedError("full"), "QUEUE_FULL"), absl::Milliseconds(1500));
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_EQ(RetryDelayOf(status), absl::Milliseconds(1500));
  EXPECT_EQ(RetryDelayOf(absl::InternalError("x")), std::nullopt);
  EXPECT_EQ(ErrorReason(absl::InternalError("x")), std::nullopt);
  EXPECT_EQ(RetryDelayOf(WithRetryDelay(absl::OkStatus(), absl::Seconds(1))), std::nullopt);
}

TEST(ErrorReasonTest, DelaysAreBounded) {
  const absl::Status status = absl::UnavailableError("x");
  EXPECT_EQ(RetryDelayOf(WithRetryDelay(status, -absl::Seconds(1))), absl::ZeroDuration());
  EXPECT_EQ(RetryDelayOf(WithRetryDelay(status, absl::InfiniteDuration())), absl::Hours(24));
}

}  // namespace
}  // namespace stepcast
