#include "scheduler/decide/timetable.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

constexpr absl::Time kStart = absl::UnixEpoch();

Job NewJob(int64_t id, absl::Duration deadline) {
  return Job(JobId{id}, MakeSpecs({.deadline = kStart + deadline}, std::make_shared<RecordingSink>()).front());
}

TEST(TimetableTest, DeadlinesComeInOrderEachOnce) {
  Timetable table(absl::Hours(1));
  table.Begin(kStart);
  for (const auto& [id, seconds] : {std::pair{1, 3}, {2, 1}, {3, 2}, {4, 1}}) {
    table.Enter(NewJob(id, absl::Seconds(seconds)));
  }
  table.Enter(NewJob(5, absl::InfiniteDuration()));
  table.Leave(NewJob(3, absl::Seconds(2)));
  EXPECT_EQ(table.Next(), kStart + absl::Seconds(1));
  EXPECT_EQ(table.TakeExpired(kStart), std::nullopt);
  const absl::Time now = kStart + absl::Seconds(2);
  EXPECT_EQ(table.TakeExpired(now), JobId{2});
  EXPECT_EQ(table.TakeExpired(now), JobId{4});
  EXPECT_EQ(table.TakeExpired(now), std::nullopt);
  table.Leave(NewJob(2, absl::Seconds(1)));
  EXPECT_EQ(table.Next(), kStart + absl::Seconds(3));
}

TEST(TimetableTest, HeartbeatsComeTwiceAnInterval) {
  Timetable table(absl::Seconds(10));
  table.Begin(kStart);
  EXPECT_EQ(table.Next(), kStart + absl::Seconds(5));
  EXPECT_FALSE(table.TakeHeartbeat(kStart + absl::Seconds(4)));
  EXPECT_TRUE(table.TakeHeartbeat(kStart + absl::Seconds(7))) << "late";
  EXPECT_FALSE(table.TakeHeartbeat(kStart + absl::Seconds(11)));
  EXPECT_EQ(table.Next(), kStart + absl::Seconds(12));
  EXPECT_FALSE(table.Due(kStart + absl::Seconds(3), kStart + absl::Seconds(7)));
  EXPECT_TRUE(table.Due(kStart + absl::Seconds(2), kStart + absl::Seconds(7)));
}

}  // namespace
}  // namespace stepcast
