#include "scheduler/admission.h"

#include <gtest/gtest.h>

#include <limits>

namespace stepcast {
namespace {

constexpr absl::Time kNow = absl::UnixEpoch();

TEST(AdmissionTest, TakesAllOrNone) {
  struct Case {
    int limit, waiting, images;
    absl::StatusCode code;
  };
  const Case cases[] = {
      {64, 0, 1, absl::StatusCode::kOk},
      {64, 60, 4, absl::StatusCode::kOk},
      {64, 61, 4, absl::StatusCode::kResourceExhausted},
      {64, 64, 1, absl::StatusCode::kResourceExhausted},
      {1, 0, 2, absl::StatusCode::kResourceExhausted},
      {4, 9, 1, absl::StatusCode::kResourceExhausted},  // the bound was lowered while jobs waited
      {64, 0, 0, absl::StatusCode::kInvalidArgument},
      {64, 3, std::numeric_limits<int>::max(), absl::StatusCode::kResourceExhausted},
  };
  for (const Case& c : cases) {
    const absl::Status status = CheckAdmission({.max_queued_jobs = c.limit}, {.images = c.images}, c.waiting, kNow);
    EXPECT_EQ(status.code(), c.code) << c.waiting << " + " << c.images << " of " << c.limit << ": " << status;
  }
}

TEST(AdmissionTest, ARefusalGivesTheCounts) {
  EXPECT_EQ(CheckAdmission({.max_queued_jobs = 8}, {.images = 4}, 6, kNow).message(),
            "the queue is full: 6 of at most 8 jobs wait and the request brings 4");
}

TEST(AdmissionTest, ADeadlineMustLieAhead) {
  const AdmissionLimits limits;
  EXPECT_TRUE(CheckAdmission(limits, {.deadline = kNow + absl::Nanoseconds(1)}, 0, kNow).ok());
  EXPECT_EQ(CheckAdmission(limits, {.deadline = kNow}, 0, kNow).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(CheckAdmission(limits, {.deadline = kNow - absl::Seconds(2)}, 0, kNow).message(),
            "the deadline passed 2s before the request could be admitted");
}

}  // namespace
}  // namespace stepcast
