#include "sampling/schedule/sigma_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace stepcast::sampling {
namespace {

using testing::HasSubstr;

constexpr SigmaRange kRange = {0.03, 14.6};

NoiseSchedule Table() { return NoiseSchedule::Create({}).value(); }

void ExpectFallsFromMaxToMin(const std::vector<double>& sigmas) {
  EXPECT_NEAR(sigmas.front(), kRange.sigma_max, 1e-12 * kRange.sigma_max);
  EXPECT_NEAR(sigmas.back(), kRange.sigma_min, 1e-12);
  for (size_t i = 1; i < sigmas.size(); ++i) EXPECT_LT(sigmas[i], sigmas[i - 1]);
}

TEST(SigmaSpreadTest, EndsAndMonotony) {
  for (const int steps : {2, 3, 17, 150}) {
    ExpectFallsFromMaxToMin(KarrasSigmas(kRange, steps));
    ExpectFallsFromMaxToMin(ExponentialSigmas(kRange, steps));
    ExpectFallsFromMaxToMin(BetaSigmas(kRange, steps));
  }
}

TEST(SigmaSpreadTest, OneStepIsTheLargest) {
  EXPECT_NEAR(KarrasSigmas(kRange, 1)[0], kRange.sigma_max, 1e-13 * kRange.sigma_max);
  EXPECT_NEAR(ExponentialSigmas(kRange, 1)[0], kRange.sigma_max, 1e-13 * kRange.sigma_max);
  EXPECT_EQ(BetaSigmas(kRange, 1)[0], kRange.sigma_max);
}

TEST(SigmaSpreadTest, MiddleValues) {
  const double middle = std::pow((std::pow(0.03, 1 / 7.0) + std::pow(14.6, 1 / 7.0)) / 2, 7.0);
  EXPECT_NEAR(KarrasSigmas(kRange, 3)[1], middle, 1e-12);
  EXPECT_NEAR(KarrasSigmas(kRange, 3, 1.0)[1], (0.03 + 14.6) / 2, 1e-12);
  EXPECT_NEAR(ExponentialSigmas(kRange, 3)[1], std::sqrt(0.03 * 14.6), 1e-12);
  EXPECT_NEAR(BetaSigmas(kRange, 3)[1], (0.03 + 14.6) / 2, 1e-12);
}

TEST(InterpolateTableTest, LinearInsideConstantOutside) {
  const std::vector<float> table = {1.0f, 3.0f, 7.0f};
  EXPECT_EQ(InterpolateTable(table, -2.0), 1.0);
  EXPECT_EQ(InterpolateTable(table, 0.0), 1.0);
  EXPECT_EQ(InterpolateTable(table, 0.25), 1.5);
  EXPECT_EQ(InterpolateTable(table, 1.5), 5.0);
  EXPECT_EQ(InterpolateTable(table, 2.0), 7.0);
  EXPECT_EQ(InterpolateTable(table, 9.0), 7.0);
}

TEST(SigmaToTimestepTest, InvertsTheTableAndStaysInside) {
  const NoiseSchedule schedule = Table();
  const SigmaToTimestep to_timestep(schedule.sigmas());
  for (const int t : {0, 1, 17, 500, 998, 999}) {
    // Float32 logarithms of neighbours differ by at least 1e-3 here, and are exact to 1e-7 or so.
    EXPECT_NEAR(to_timestep(schedule.sigmas()[static_cast<size_t>(t)]), t, 1e-3) << t;
  }
  EXPECT_EQ(to_timestep(0.0), 0.0);
  EXPECT_EQ(to_timestep(1e9), 999.0);
  const double between = std::sqrt(static_cast<double>(schedule.sigmas()[400]) * schedule.sigmas()[401]);
  EXPECT_NEAR(to_timestep(between), 400.5, 1e-3);
}

TEST(SpreadSigmasTest, FinalSigma) {
  const NoiseSchedule schedule = Table();
  SigmaStepsRule rule;
  EXPECT_EQ(SpreadSigmas(schedule, rule, 4)->sigmas.back(), 0.0f);
  rule.final_sigmas = FinalSigmas::kSigmaMin;
  EXPECT_EQ(SpreadSigmas(schedule, rule, 4)->sigmas.back(), schedule.sigmas()[0]);
  rule.own_last_sigma = true;  // of spaced levels, the last is the table's all the same
  EXPECT_EQ(SpreadSigmas(schedule, rule, 4)->sigmas.back(), schedule.sigmas()[0]);
  rule.schedule = SigmaSchedule::kExponential;
  rule.sigma_min = 0.25;
  EXPECT_FLOAT_EQ(SpreadSigmas(schedule, rule, 4)->sigmas.back(), 0.25f);
}

TEST(SpreadSigmasTest, EndsOfTheTableOrOfTheSpacedLevels) {
  const NoiseSchedule schedule = Table();
  SigmaStepsRule rule{.schedule = SigmaSchedule::kKarras};
  const SigmaSteps spaced = SpreadSigmas(schedule, rule, 4).value();
  EXPECT_NEAR(spaced.sigmas.front(), schedule.sigmas()[750], 1e-4f);  // leading spacing starts at 750
  rule.table_ends = true;
  rule.integer_timesteps = true;
  rule.round_karras = true;
  const SigmaSteps whole = SpreadSigmas(schedule, rule, 4).value();
  EXPECT_NEAR(whole.sigmas.front(), schedule.sigmas()[999], 1e-4f);
  EXPECT_EQ(whole.timesteps.front(), 999.0f);
  for (const float t : whole.timesteps) EXPECT_EQ(t, std::trunc(t));
}

TEST(SpreadSigmasTest, OverriddenEnds) {
  const NoiseSchedule schedule = Table();
  SigmaStepsRule rule{.schedule = SigmaSchedule::kExponential, .sigma_min = 0.1, .sigma_max = 5.0};
  const SigmaSteps steps = SpreadSigmas(schedule, rule, 3).value();
  EXPECT_NEAR(steps.sigmas[0], 5.0f, 1e-6f);
  EXPECT_NEAR(steps.sigmas[2], 0.1f, 1e-6f);

  rule.sigma_min = 6.0;
  const absl::Status status = SpreadSigmas(schedule, rule, 3).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sigma_schedule"));
}

TEST(SpreadSigmasTest, LuIsEvenInLambda) {
  const NoiseSchedule schedule = Table();
  const SigmaSteps steps = SpreadSigmas(schedule, {.schedule = SigmaSchedule::kLu, .table_ends = true}, 5).value();
  const double first = std::log(steps.sigmas[1] / steps.sigmas[0]);
  for (size_t i = 1; i < 5; ++i) EXPECT_NEAR(std::log(steps.sigmas[i] / steps.sigmas[i - 1]), first, 1e-5);
}

TEST(ExplicitTimestepsTest, LevelsOfTheTableAndTheEndOfTheRule) {
  const NoiseSchedule schedule = Table();
  SigmaStepsRule rule;
  const SigmaSteps steps = ExplicitTimesteps(schedule, rule, {999.0, 499.5, 3.0}).value();
  EXPECT_THAT(steps.timesteps, testing::ElementsAre(999.0f, 499.5f, 3.0f));
  EXPECT_EQ(steps.sigmas[0], schedule.sigmas()[999]);
  EXPECT_NEAR(steps.sigmas[1], (schedule.sigmas()[499] + schedule.sigmas()[500]) / 2, 1e-6f);
  EXPECT_EQ(steps.sigmas[3], 0.0f);
  rule.final_sigmas = FinalSigmas::kSigmaMin;
  EXPECT_EQ(ExplicitTimesteps(schedule, rule, {999.0})->sigmas[1], schedule.sigmas()[0]);
  rule.integer_timesteps = true;
  EXPECT_THAT(std::string(ExplicitTimesteps(schedule, rule, {999.0, 499.5}).status().message()),
              testing::StartsWith("timesteps: entry 1 is 499.5"));
}

TEST(ExplicitSigmasTest, TheLastLevelIsTheEnd) {
  const NoiseSchedule schedule = Table();
  const double level = schedule.sigmas()[700];
  const SigmaSteps steps = ExplicitSigmas(schedule, {}, {level, 1.0, 0.0}).value();
  EXPECT_THAT(steps.sigmas, testing::ElementsAre(static_cast<float>(level), 1.0f, 0.0f));
  ASSERT_EQ(steps.timesteps.size(), 2u);
  EXPECT_NEAR(steps.timesteps[0], 700.0f, 1e-3f);
}

TEST(SpreadSigmasTest, LogLinearLevelsEndAtTheTablesSmallest) {
  const NoiseSchedule schedule = Table();
  const SigmaSteps steps = SpreadSigmas(schedule, {.log_linear = true}, 4).value();
  ASSERT_EQ(steps.sigmas.size(), 5u);
  EXPECT_NEAR(steps.sigmas[0] / schedule.sigmas()[999], 1.0f, 1e-6f);
  EXPECT_NEAR(steps.sigmas[4] / schedule.sigmas()[0], 1.0f, 1e-6f);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_NEAR(steps.sigmas[i] * steps.sigmas[i] / (steps.sigmas[i - 1] * steps.sigmas[i + 1]), 1.0, 1e-5);
  }
}

}  // namespace
}  // namespace stepcast::sampling
