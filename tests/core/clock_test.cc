#include "core/clock.h"

#include <gtest/gtest.h>
#include <time.h>

#include <thread>
#include <vector>

namespace stepcast {
namespace {

TEST(RealClockTest, IsOneObject) { EXPECT_EQ(&RealClock(), &RealClock()); }

TEST(RealClockTest, NeverGoesBackwards) {
  absl::Time previous = RealClock().Now();
  for (int i = 0; i < 10'000; ++i) {
    const absl::Time now = RealClock().Now();
    ASSERT_GE(now, previous);
    previous = now;
  }
}

// A date after this code was written and before its clock could overflow: wall time, not time since boot.
TEST(RealClockTest, TellsTheDate) {
  EXPECT_GT(RealClock().Now(), absl::FromCivil(absl::CivilYear(2020), absl::UTCTimeZone()));
  EXPECT_LT(RealClock().Now(), absl::FromCivil(absl::CivilYear(2200), absl::UTCTimeZone()));
}

// Whoever sets the machine's clock moves CLOCK_REALTIME and not this one.
TEST(RealClockTest, GoesAsTheMonotonicClockGoes) {
  const auto monotonic = [] {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return absl::DurationFromTimespec(now);
  };
  const absl::Duration before = monotonic();
  const absl::Time first = RealClock().Now();
  const absl::Duration between = monotonic();
  const absl::Time second = RealClock().Now();
  const absl::Duration after = monotonic();
  EXPECT_LE(second - first, after - before);
  EXPECT_GE(RealClock().Now() - first, after - between);
}

TEST(RealClockTest, AdvancesOnEveryThread) {
  const absl::Time start = RealClock().Now();
  std::vector<absl::Time> ends(4);
  std::vector<std::thread> threads;
  for (absl::Time& end : ends) {
    threads.emplace_back([&end, start] {
      do {
        end = RealClock().Now();
      } while (end == start);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Time end : ends) EXPECT_GT(end, start);
}

}  // namespace
}  // namespace stepcast
