#include "server/wire/proto_time.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(ProtoTimeTest, KeepsNanosecondsAndSign) {
  struct Row {
    absl::Duration span;
    int64_t seconds;
    int nanos;
  };
  const Row rows[] = {{absl::ZeroDuration(), 0, 0},
                      {absl::Milliseconds(2500), 2, 500'000'000},
                      {absl::Nanoseconds(1), 0, 1},
                      {absl::Milliseconds(-1500), -1, -500'000'000},
                      {absl::Nanoseconds(0.75), 0, 0}};
  for (const Row& row : rows) {
    EXPECT_EQ(ToProto(row.span).seconds(), row.seconds);
    EXPECT_EQ(ToProto(row.span).nanos(), row.nanos);
  }
}

TEST(ProtoTimeTest, TimesCountFromTheEpoch) {
  const google::protobuf::Timestamp time = ToProto(absl::UnixEpoch() + absl::Milliseconds(1500));
  EXPECT_EQ(time.seconds(), 1);
  EXPECT_EQ(time.nanos(), 500'000'000);
}

}  // namespace
}  // namespace stepcast
