#include "server/call/completion_pace.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(CompletionPaceTest, SaysASecondWhileNothingIsKnown) {
  CompletionPace pace;
  EXPECT_EQ(pace.RetryAfter(4), absl::Seconds(1));
  pace.OnImageEnded(absl::UnixEpoch());
  EXPECT_EQ(pace.RetryAfter(4), absl::Seconds(1));
}

TEST(CompletionPaceTest, FollowsTheIntervalWithinBounds) {
  struct Row {
    absl::Duration interval;
    int images;
    absl::Duration expected;
  };
  const Row rows[] = {{absl::Seconds(2), 1, absl::Seconds(2)},
                      {absl::Seconds(2), 3, absl::Seconds(6)},
                      {absl::Milliseconds(1), 1, absl::Milliseconds(100)},
                      {absl::Minutes(10), 1, absl::Seconds(30)}};
  for (const Row& row : rows) {
    CompletionPace pace;
    for (int i = 0; i < 3; ++i) pace.OnImageEnded(absl::UnixEpoch() + i * row.interval);
    EXPECT_EQ(pace.RetryAfter(row.images), row.expected);
  }
}

TEST(CompletionPaceTest, ANewPaceTakesOverGradually) {
  CompletionPace pace;
  absl::Time now = absl::UnixEpoch();
  pace.OnImageEnded(now);
  pace.OnImageEnded(now += absl::Seconds(10));
  pace.OnImageEnded(now += absl::Seconds(5));
  EXPECT_EQ(pace.RetryAfter(1), absl::Seconds(9));  // 10 + 0.2 x (5 - 10)
}

}  // namespace
}  // namespace stepcast
