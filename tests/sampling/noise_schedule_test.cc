#include "sampling/schedule/noise_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/sampling/fixture_reader.h"

namespace stepcast::sampling {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;

ScheduleSettings FromFixture(const std::vector<std::string>& words) {
  const std::map<std::string, BetaSchedule> schedules = {{"linear", BetaSchedule::kLinear},
                                                         {"scaled_linear", BetaSchedule::kScaledLinear},
                                                         {"squaredcos_cap_v2", BetaSchedule::kSquaredCosCapV2},
                                                         {"sigmoid", BetaSchedule::kSigmoid}};
  ScheduleSettings settings;
  settings.beta_schedule = schedules.at(words[0]);
  settings.num_train_timesteps = std::stoi(words[1]);
  settings.beta_start = std::stod(words[2]);
  settings.beta_end = std::stod(words[3]);
  settings.zero_snr = words[4] == "1" ? ZeroSnr::kExact : ZeroSnr::kUnknown;
  return settings;
}

TEST(NoiseScheduleTest, EqualsTorch) {
  int compared = 0;
  for (const std::vector<std::string>& words : ReadFixture("noise_schedules.txt")) {
    SCOPED_TRACE(words[0] + " zero_snr=" + words[4]);
    const NoiseSchedule schedule = NoiseSchedule::Create(FromFixture(words)).value();
    for (size_t i = 5; i < words.size(); ++i) {
      const size_t colon = words[i].find(':');
      const auto t = static_cast<size_t>(std::stoi(words[i].substr(0, colon)));
      const double expected = std::stod(words[i].substr(colon + 1));
      // Betas may differ in their last float32 bit (fused multiply-add, exp), and errors add up over t products.
      EXPECT_NEAR(schedule.alphas_cumprod()[t], expected, 2e-6 * expected) << "t = " << t;
      ++compared;
    }
  }
  EXPECT_GE(compared, 60);
}

TEST(NoiseScheduleTest, SigmasRiseAndMatchTheAlphas) {
  const NoiseSchedule schedule = NoiseSchedule::Create({}).value();
  ASSERT_EQ(schedule.num_train_timesteps(), 1000);
  for (size_t t = 0; t < 1000; ++t) {
    const double a = schedule.alphas_cumprod()[t];
    EXPECT_NEAR(schedule.sigmas()[t], std::sqrt((1.0 - a) / a), 1e-4 * schedule.sigmas()[t]);  // 1 - a cancels near 1
    if (t > 0) {
      EXPECT_GT(schedule.sigmas()[t], schedule.sigmas()[t - 1]);
    }
  }
}

TEST(NoiseScheduleTest, ZeroTerminalSnr) {
  ScheduleSettings settings;
  settings.zero_snr = ZeroSnr::kExact;
  const NoiseSchedule exact = NoiseSchedule::Create(settings).value();
  EXPECT_EQ(exact.alphas_cumprod().back(), 0.0f);
  EXPECT_TRUE(std::isinf(exact.sigmas().back()));

  settings.zero_snr = ZeroSnr::kFinite;
  const NoiseSchedule finite = NoiseSchedule::Create(settings).value();
  EXPECT_EQ(finite.alphas_cumprod().back(), std::ldexp(1.0f, -24));
  EXPECT_NEAR(finite.sigmas().back(), 4096.0f, 1e-3f);
  EXPECT_EQ(finite.alphas_cumprod()[500], exact.alphas_cumprod()[500]);
  // Linear betas end below 2^-24 one entry earlier; diffusers has the same table.
  EXPECT_LT(finite.alphas_cumprod()[998], finite.alphas_cumprod()[999]);
}

TEST(NoiseScheduleTest, TrainedBetasAreTakenAsTheyAre) {
  ScheduleSettings settings;
  settings.num_train_timesteps = 3;
  settings.trained_betas = {0.5, 0.25, 0.125};
  const NoiseSchedule schedule = NoiseSchedule::Create(settings).value();
  EXPECT_THAT(schedule.alphas_cumprod(), ElementsAre(0.5f, 0.375f, 0.328125f));
}

TEST(NoiseScheduleTest, RefusesBetasTooSmallForFloat32) {
  ScheduleSettings settings;
  settings.num_train_timesteps = 2;
  settings.trained_betas = {0.1, 1e-12};
  const absl::Status status = NoiseSchedule::Create(settings).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at timestep 1"));
}

TEST(NoiseScheduleTest, CountBelowLambda) {
  const NoiseSchedule schedule = NoiseSchedule::Create({.beta_schedule = BetaSchedule::kSquaredCosCapV2}).value();
  const absl::Span<const float> sigmas = schedule.sigmas();
  EXPECT_EQ(schedule.CountBelowLambda(-std::numeric_limits<double>::infinity()), 0);
  EXPECT_EQ(schedule.CountBelowLambda(std::numeric_limits<double>::infinity()), 1000);
  const int count = schedule.CountBelowLambda(-5.1);
  EXPECT_GT(std::log(sigmas[1000 - count]), 5.1f);
  EXPECT_LT(std::log(sigmas[999 - count]), 5.1f);
}

TEST(LinspaceTest, EndsAreExactAndOnePointIsTheStart) {
  EXPECT_THAT(TorchLinspace(0.0, 1.0, 5), ElementsAre(0.0f, 0.25f, 0.5f, 0.75f, 1.0f));
  EXPECT_EQ(TorchLinspace(1e-4, 0.02, 1000).back(), 0.02f);
  EXPECT_THAT(TorchLinspace(3.0, 9.0, 1), ElementsAre(3.0f));
  EXPECT_THAT(NumpyLinspace(0.0, 999.0, 4), ElementsAre(0.0, 333.0, 666.0, 999.0));
  EXPECT_THAT(NumpyLinspace(3.0, 9.0, 1), ElementsAre(3.0));
}

struct SpacingRow {
  const char* what;
  SpacingRule rule;
  int steps;
  std::vector<double> expected;
};

TEST(SpacedTimestepsTest, Table) {
  constexpr TimestepSpacing kLinspace = TimestepSpacing::kLinspace;
  constexpr TimestepSpacing kLeading = TimestepSpacing::kLeading;
  constexpr TimestepSpacing kTrailing = TimestepSpacing::kTrailing;
  const SpacingRow rows[] = {
      {"leading, offset 1", {.spacing = kLeading, .steps_offset = 1}, 5, {801, 601, 401, 201, 1}},
      {"leading, uneven", {.spacing = kLeading}, 3, {666, 333, 0}},
      {"leading, one more point",
       {.spacing = kLeading, .steps_offset = 1, .extra_point = true},
       4,
       {801, 601, 401, 201}},
      {"trailing 1", {.spacing = kTrailing, .steps_offset = 1}, 1, {999}},
      {"trailing 4", {.spacing = kTrailing}, 4, {999, 749, 499, 249}},
      {"linspace, half to even", {.spacing = kLinspace, .num_train_timesteps = 4}, 3, {3, 2, 0}},
      {"linspace, fractional", {.spacing = kLinspace, .num_train_timesteps = 4, .fractional = true}, 3, {3, 1.5, 0}},
      {"linspace, one more point", {.spacing = kLinspace, .extra_point = true}, 3, {999, 666, 333}},
      {"linspace 1", {.spacing = kLinspace}, 1, {0}},
      {"linspace 1, one more point", {.spacing = kLinspace, .extra_point = true}, 1, {999}},
      {"linspace, left out", {.spacing = kLinspace, .left_out = 100, .extra_point = true}, 3, {899, 599, 300}},
      {"leading, left out", {.spacing = kLeading, .left_out = 200, .extra_point = true}, 3, {600, 400, 200}},
      {"trailing, left out", {.spacing = kTrailing, .left_out = 8}, 4, {991, 741, 491, 241}},
      {"trailing, too much left out", {.spacing = kTrailing, .left_out = 300}, 4, {699, 449, 199, -51}},
  };
  for (const SpacingRow& row : rows) {
    EXPECT_THAT(SpacedTimesteps(row.rule, row.steps), testing::ElementsAreArray(row.expected)) << row.what;
  }
}

TEST(SpacedTimestepsTest, LeadingTwentyWithOffset) {
  const std::vector<double> timesteps = SpacedTimesteps({.steps_offset = 1}, 20);
  EXPECT_THAT(timesteps.front(), DoubleEq(951));
  EXPECT_THAT(timesteps.back(), DoubleEq(1));
}

// Whatever the number of steps: that many timesteps, falling, inside the table.
TEST(SpacedTimestepsTest, EveryCountOfStepsGivesThatManyFallingTimesteps) {
  for (const TimestepSpacing spacing :
       {TimestepSpacing::kLinspace, TimestepSpacing::kLeading, TimestepSpacing::kTrailing}) {
    for (int steps = 1; steps <= 1000; ++steps) {
      const std::vector<double> timesteps = SpacedTimesteps({.spacing = spacing}, steps);
      ASSERT_EQ(timesteps.size(), static_cast<size_t>(steps));
      ASSERT_LE(timesteps.front(), 999.0);
      ASSERT_GE(timesteps.back(), 0.0);
      for (size_t i = 1; i < timesteps.size(); ++i) ASSERT_LT(timesteps[i], timesteps[i - 1]) << steps;
    }
  }
}

}  // namespace
}  // namespace stepcast::sampling
