#include "sampling/samplers/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/euler_family.h"

namespace stepcast::sampling {
namespace {

struct Fixture {
  explicit Fixture(ScheduleSettings wanted = {}, int steps = 4)
      : spec{.steps = steps}, settings(std::move(wanted)), schedule(NoiseSchedule::Create(settings).value()) {}

  SamplerInput input(int first_step = 0) { return {spec, settings, schedule, first_step}; }

  SamplerSpec spec;
  ScheduleSettings settings;
  NoiseSchedule schedule;
};

TEST(PostOfTest, ThresholdingWinsOverClipping) {
  ScheduleSettings settings;
  EXPECT_EQ(PostOf(settings).kind, PostKind::kNone);
  settings.clip_sample = true;
  settings.clip_sample_range = 1.5;
  EXPECT_EQ(PostOf(settings), (Post{PostKind::kClip, 1.5f, 0.0f}));
  EXPECT_EQ(ClipOf(settings), PostOf(settings));
  EXPECT_EQ(ThresholdingOf(settings).kind, PostKind::kNone);
  settings.thresholding = true;
  settings.sample_max_value = 3.0;
  EXPECT_EQ(PostOf(settings), (Post{PostKind::kThreshold, 3.0f, 0.995f}));
  EXPECT_EQ(ThresholdingOf(settings), PostOf(settings));
}

TEST(TableTimestepsTest, OutsideTheTableIsRefused) {
  Fixture fixture({.num_train_timesteps = 10, .timestep_spacing = TimestepSpacing::kLeading, .steps_offset = 3}, 4);
  EXPECT_THAT(TableTimesteps(fixture.input()).value(), testing::ElementsAre(9, 7, 5, 3));
  fixture.settings.steps_offset = 4;
  EXPECT_THAT(std::string(TableTimesteps(fixture.input()).status().message()), testing::HasSubstr("reach timestep 10"));
}

TEST(TableTimestepsTest, TheRequestsListWins) {
  Fixture fixture({.num_train_timesteps = 10}, 3);
  fixture.spec.timesteps = {9, 4, 0};
  EXPECT_THAT(TableTimesteps(fixture.input()).value(), testing::ElementsAre(9, 4, 0));
  fixture.spec.timesteps = {9, 4.25, 0};
  EXPECT_THAT(std::string(TableTimesteps(fixture.input()).status().message()),
              testing::StartsWith("timesteps: entry 1 is 4.25; this sampler takes whole timesteps only"));
}

TEST(DpmLevelTest, IsVariancePreserving) {
  for (const double sigma : {0.01, 1.0, 14.6, 4096.0}) {
    const DpmLevel level(sigma);
    EXPECT_NEAR(level.alpha * level.alpha + level.sigma * level.sigma, 1.0, 1e-12);
    EXPECT_NEAR(level.lambda, -std::log(sigma), 1e-12);
  }
  const DpmLevel end(0.0);
  EXPECT_EQ(end.alpha, 1.0);
  EXPECT_EQ(end.sigma, 0.0);
  EXPECT_TRUE(std::isinf(end.lambda) && end.lambda > 0.0);
}

TEST(DpmFamilyTest, KarrasTimestepsAreRoundedButForCosineSchedules) {
  Fixture fixture({.sigma_schedule = SigmaSchedule::kKarras}, 4);
  const SigmaSteps rounded = DpmSteps(fixture.input(), {}).value();
  fixture.settings.beta_schedule = BetaSchedule::kSquaredCosCapV2;  // the same table, another rule
  const SigmaSteps cut = DpmSteps(fixture.input(), {}).value();
  EXPECT_EQ(rounded.sigmas, cut.sigmas);
  bool differs = false;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(rounded.timesteps[i] == cut.timesteps[i] || rounded.timesteps[i] == cut.timesteps[i] + 1.0f);
    differs |= rounded.timesteps[i] != cut.timesteps[i];
  }
  EXPECT_TRUE(differs);
}

TEST(EulerFamilyTest, ScaledInputHasUnitVariance) {
  for (const double sigma : {0.0, 0.5, 14.6}) EXPECT_NEAR(InputScale(sigma) * std::hypot(sigma, 1.0), 1.0, 1e-12);
}

TEST(EulerFamilyTest, TimestepsKeepTheirFractions) {
  Fixture fixture({}, 3);
  EXPECT_THAT(EulerSteps(fixture.input(), FinalSigmas::kZero)->timesteps, testing::ElementsAre(999.0f, 499.5f, 0.0f));
}

TEST(EulerFamilyTest, StartOfALaterStep) {
  Fixture fixture({}, 4);
  fixture.spec.strength = 0.5;
  const SigmaSteps steps = EulerSteps(fixture.input(2), FinalSigmas::kZero).value();
  EXPECT_EQ(EulerStart(fixture.input(2), steps), (Start{1.0f, steps.sigmas[2]}));
}

}  // namespace
}  // namespace stepcast::sampling
