#include "scheduler/costs/profiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

absl::Duration Ms(double milliseconds) { return absl::Milliseconds(1) * milliseconds; }
const BatchKey kDenoise{Phase::kDenoise, "emoji", 16, 16};
const BatchKey kDecode{Phase::kDecode, "emoji", 16, 16};
constexpr ExecutorLimits kLimits{.max_denoise_rows = 8, .max_decode_jobs = 2};

// Ten milliseconds a row, the first tick of all ten times as much.
class SyntheticExecutor final : public StepExecutor {
 public:
  explicit SyntheticExecutor(SimulatedClock& clock) : clock_(clock) {}
  absl::Status Start(Job&) override { return absl::OkStatus(); }
  std::vector<StepResult> Execute(const StepPlan&, absl::Span<Job* const>) override { return {}; }
  ExecutorLimits Limits() const override { return kLimits; }
  absl::Status RunSynthetic(const BatchKey& key, int rows) override {
    if (broken) return absl::InternalError("broken");
    if (rows > (key.phase == Phase::kDenoise ? fits : 100)) return absl::ResourceExhaustedError("out of memory");
    const auto ticks = static_cast<int>(log.size());
    const bool slow = ticks == 0 || (ticks >= busy_from && ticks < busy_until);
    clock_.Advance((slow ? 10 : 1) * Ms(10) * rows);
    log.push_back(std::string(key.phase == Phase::kDenoise ? "n" : "d") + std::to_string(rows));
    return absl::OkStatus();
  }

  int fits = 100;
  int busy_from = 0;  // ticks that take ten times as long
  int busy_until = 0;
  bool broken = false;
  std::vector<std::string> log;

 private:
  SimulatedClock& clock_;
};

class ProfilerTest : public testing::Test {
 protected:
  absl::Status Profile(absl::Duration budget) {
    return ProfileCosts(executor_, {kDenoise, kDecode}, budget, clock_, costs_);
  }
  SimulatedClock clock_;
  SyntheticExecutor executor_{clock_};
  CostModel costs_{kLimits};
};

TEST_F(ProfilerTest, EveryKeyIsKnownBeforeAnyIsKnownWell) {
  ASSERT_TRUE(Profile(absl::Seconds(60)).ok());
  EXPECT_THAT(executor_.log,
              ElementsAre("n2", "n2", "d1", "d1", "n8", "d2", "n4", "n1",  // the first tick of a key is thrown away
                          "n2", "d1", "n8", "d2", "n4", "n1",              //
                          "n2", "d1", "n8", "d2", "n4", "n1"));
  EXPECT_EQ(costs_.Predict(kDenoise, 8), Ms(80)) << "the slow first tick does not count";
  EXPECT_EQ(costs_.Predict(kDecode, 2), Ms(20));
  ASSERT_EQ(costs_.Table().size(), 2u);
  EXPECT_EQ(costs_.Table()[0].points.size(), 4u);
}

TEST_F(ProfilerTest, AsManyPassesAsAreAskedForAndNoEnd) {
  ASSERT_TRUE(ProfileCosts(executor_, {kDecode}, absl::InfiniteDuration(), clock_, costs_, /*passes=*/1).ok());
  EXPECT_THAT(executor_.log, ElementsAre("d1", "d1", "d2"));
}

TEST_F(ProfilerTest, AMomentInWhichTheMachineIsBusySpoilsNoPoint) {
  executor_.busy_from = 4;
  executor_.busy_until = 9;  // from the first full tick to the second of one job
  ASSERT_TRUE(Profile(absl::Seconds(60)).ok());
  for (const CostEntry& entry : costs_.Table()) {
    for (const CostPoint& point : entry.points) EXPECT_EQ(point.cost, Ms(10) * point.rows) << point.rows;
  }
}

TEST_F(ProfilerTest, StaysWithinItsBudget) {
  ASSERT_TRUE(Profile(Ms(300)).ok());
  EXPECT_LE(clock_.Now() - absl::UnixEpoch(), Ms(300));
  EXPECT_TRUE(costs_.Knows(kDenoise));
  EXPECT_TRUE(costs_.Knows(kDecode));
  EXPECT_THAT(executor_.log, testing::Not(testing::Contains("n8")));
}

TEST_F(ProfilerTest, NoBudgetNoTick) {
  EXPECT_TRUE(Profile(absl::ZeroDuration()).ok());
  EXPECT_TRUE(executor_.log.empty());
}

TEST_F(ProfilerTest, WhatDoesNotFitLowersTheCap) {
  executor_.fits = 5;
  ASSERT_TRUE(Profile(absl::Seconds(60)).ok());
  EXPECT_EQ(costs_.RowCap(kDenoise), 4);
  EXPECT_EQ(costs_.Predict(kDenoise, 4), Ms(40));
}

TEST_F(ProfilerTest, AKeyThatDoesNotFitAtAllKeepsNoOtherFromBeingMeasured) {
  executor_.fits = 1;
  ASSERT_TRUE(Profile(absl::Seconds(60)).ok());
  EXPECT_TRUE(costs_.Knows(kDecode));
  EXPECT_EQ(costs_.Predict(kDenoise, 1), Ms(10));
}

TEST_F(ProfilerTest, AnErrorEndsItAndKeepsWhatIsKnown) {
  executor_.broken = true;
  EXPECT_EQ(Profile(absl::Seconds(60)).code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(costs_.Knows(kDenoise));
}

}  // namespace
}  // namespace stepcast
