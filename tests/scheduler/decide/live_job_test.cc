#include "scheduler/decide/live_job.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

// A quarter of a nanosecond is the smallest time there is: where thirds of it are cut off, somebody gets them.
TEST(FlightTest, SharesSumToTheTick) {
  for (const std::vector<int>& rows : {std::vector<int>{1}, {2, 1}, {2, 2, 2, 1}, {1, 1, 1, 1, 1, 1, 1}, {3, 16, 5}}) {
    for (const int64_t nanoseconds : {0, 1, 7, 1'000'003}) {
      Flight flight;
      flight.plan.key.phase = Phase::kDenoise;
      flight.rows = rows;
      const absl::Duration elapsed = absl::Nanoseconds(nanoseconds);
      DeviceCost sum;
      int total = 0;
      const std::vector<DeviceCost> shares = flight.Shares(elapsed);
      for (const int each : rows) total += each;
      for (size_t i = 0; i < rows.size(); ++i) {
        EXPECT_NEAR(absl::ToDoubleNanoseconds(shares[i].device_time), 1.0 * nanoseconds * rows[i] / total, 0.25);
        sum += shares[i];
      }
      EXPECT_EQ(sum.device_time, elapsed);
      EXPECT_EQ(sum.row_evaluations, total);
    }
  }
}

TEST(FlightTest, OnlyTheDenoiserEvaluatesRows) {
  for (const Phase phase : kPhases) {
    Flight flight;
    flight.plan.key.phase = phase;
    flight.rows = {1, 2};
    EXPECT_EQ(flight.Shares(absl::Seconds(3))[1].row_evaluations, phase == Phase::kDenoise ? 2 : 0);
    EXPECT_EQ(flight.Shares(absl::Seconds(3))[1].device_time, absl::Seconds(2));
  }
}

}  // namespace
}  // namespace stepcast
