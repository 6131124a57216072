#include "scheduler/costs/idle_profile.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

const BatchKey kDenoise = {.phase = Phase::kDenoise, .model = "m", .latent_height = 8, .latent_width = 8};
const BatchKey kDecode = {.phase = Phase::kDecode, .model = "m", .latent_height = 8, .latent_width = 8};
const BatchKey kOther = {.phase = Phase::kDecode, .model = "other", .latent_height = 8, .latent_width = 8};

ExecutorLimits Limits() { return {.max_denoise_rows = 8, .max_decode_jobs = 2}; }

// "denoise 2", in order; the first of a key with a star. Every tick takes a millisecond per row.
std::vector<std::string> RunAll(IdleProfile& profile, CostModel& costs) {
  std::vector<std::string> ran;
  while (const auto tick = profile.Next()) {
    ran.push_back(std::string(PhaseName(tick->key.phase)) + " " + std::to_string(tick->rows) +
                  (tick->counts ? "" : "*"));
    const auto learned = profile.OnRan(absl::OkStatus(), absl::Milliseconds(tick->rows));
    if (learned.has_value()) costs.SetCurve(learned->key, learned->points);
  }
  return ran;
}

TEST(IdleProfileTest, EveryKeyIsKnownBeforeAnyIsKnownWell) {
  CostModel costs(Limits());
  IdleProfile profile(absl::Seconds(1));
  EXPECT_FALSE(profile.Next().has_value());
  profile.Add({kDenoise, kDecode}, costs);
  EXPECT_THAT(RunAll(profile, costs), ElementsAre("denoise 2*", "denoise 2", "decode 1*", "decode 1", "denoise 8",
                                                  "decode 2", "denoise 4", "denoise 1"));
  EXPECT_EQ(costs.Predict(kDenoise, 8), absl::Milliseconds(8));
  EXPECT_EQ(costs.Predict(kDecode, 2), absl::Milliseconds(2));
}

TEST(IdleProfileTest, WhatIsKnownOrAwaitedIsNotMeasuredAgain) {
  CostModel costs(Limits());
  costs.SetCurve(kDecode, {{.rows = 1, .cost = absl::Milliseconds(3)}});
  IdleProfile profile(absl::Seconds(1));
  profile.Add({kDecode}, costs);
  EXPECT_FALSE(profile.Next().has_value());
  profile.Add({kDenoise}, costs);
  profile.Add({kDenoise}, costs);
  EXPECT_EQ(RunAll(profile, costs).size(), 5u);
}

TEST(IdleProfileTest, TheBudgetEndsIt) {
  CostModel costs(Limits());
  IdleProfile none(absl::ZeroDuration());
  none.Add({kDenoise}, costs);
  EXPECT_FALSE(none.Next().has_value());
  IdleProfile profile(absl::Milliseconds(4));
  profile.Add({kDenoise}, costs);
  EXPECT_THAT(RunAll(profile, costs), ElementsAre("denoise 2*", "denoise 2"));
  EXPECT_TRUE(costs.Knows(kDenoise));
}

TEST(IdleProfileTest, AFailureEndsTheProfileOfItsModelAlone) {
  CostModel costs(Limits());
  IdleProfile profile(absl::Seconds(1));
  profile.Add({kDenoise, kDecode, kOther}, costs);
  EXPECT_FALSE(profile.OnRan(absl::NotFoundError("it was unloaded"), absl::ZeroDuration()).has_value());
  ASSERT_TRUE(profile.Next().has_value());
  EXPECT_EQ(profile.Next()->key, kOther);
}

TEST(IdleProfileTest, RowsThatDoNotFitLowerTheCap) {
  CostModel costs(Limits());
  IdleProfile profile(absl::Seconds(1));
  profile.Add({kDenoise}, costs);
  (void)profile.OnRan(absl::OkStatus(), absl::Milliseconds(1));
  (void)profile.OnRan(absl::OkStatus(), absl::Milliseconds(1));
  ASSERT_EQ(profile.Next()->rows, 8);
  const auto learned = profile.OnRan(absl::ResourceExhaustedError("memory"), absl::Milliseconds(1));
  ASSERT_TRUE(learned.has_value());
  EXPECT_EQ(learned->row_cap, 4);
  EXPECT_EQ(profile.Next()->rows, 4);
}

}  // namespace
}  // namespace stepcast
