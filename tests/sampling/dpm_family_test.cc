#include "sampling/samplers/dpm_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace stepcast::sampling {
namespace {

using testing::HasSubstr;

struct Fixture {
  explicit Fixture(ScheduleSettings wanted = {}, int steps = 4)
      : spec{.sampler = Sampler::kDpmpp2m, .steps = steps},
        settings(std::move(wanted)),
        schedule(NoiseSchedule::Create(settings).value()) {}

  SamplerInput input(int first_step = 0) { return {spec, settings, schedule, first_step}; }

  SamplerSpec spec;
  ScheduleSettings settings;
  NoiseSchedule schedule;
};

TEST(DpmLevelTest, VarianceExploding) {
  const DpmLevel level = DpmLevel::VarianceExploding(3.0);
  EXPECT_EQ(level.alpha, 1.0);
  EXPECT_EQ(level.sigma, 3.0);
  EXPECT_EQ(level.lambda, -std::log(3.0));
}

TEST(DpmStepsTest, WhereClassesDiffer) {
  Fixture fixture({.beta_schedule = BetaSchedule::kSquaredCosCapV2, .sigma_schedule = SigmaSchedule::kKarras});
  const SigmaSteps cut = DpmSteps(fixture.input(), {}).value();
  const SigmaSteps rounded = DpmSteps(fixture.input(), {.always_rounds = true}).value();
  EXPECT_EQ(cut.sigmas, rounded.sigmas);
  EXPECT_NE(cut.timesteps, rounded.timesteps);

  fixture.settings.sigma_min = 0.5;
  const DpmStepsRule own{.own_last_sigma = true, .final_sigmas = FinalSigmas::kSigmaMin};
  EXPECT_EQ(DpmSteps(fixture.input(), own)->sigmas[4], DpmSteps(fixture.input(), own)->sigmas[3]);
  const DpmStepsRule table{.final_sigmas = FinalSigmas::kSigmaMin};
  EXPECT_EQ(DpmSteps(fixture.input(), table)->sigmas[4], fixture.schedule.sigmas().front());
}

// Lu's levels are of the table; Karras and its kin follow sigma_min and sigma_max.
TEST(DpmStepsTest, OtherEnds) {
  for (const SigmaSchedule schedule : {SigmaSchedule::kKarras, SigmaSchedule::kLu}) {
    Fixture fixture({.sigma_schedule = schedule, .sigma_max = 10.0});
    const float first = DpmSteps(fixture.input(), {})->sigmas[0];
    EXPECT_FLOAT_EQ(first, schedule == SigmaSchedule::kKarras ? 10.0f : fixture.schedule.sigmas().back());
  }
}

TEST(DpmStepsTest, LambdaMinClippedLeavesOutTheNoisiest) {
  Fixture fixture({.beta_schedule = BetaSchedule::kSquaredCosCapV2, .lambda_min_clipped = -5.1}, 10);
  const int left_out = fixture.schedule.CountBelowLambda(-5.1);
  ASSERT_GT(left_out, 0);
  for (const TimestepSpacing spacing : {TimestepSpacing::kLinspace, TimestepSpacing::kTrailing}) {
    fixture.settings.timestep_spacing = spacing;
    EXPECT_EQ(DpmSteps(fixture.input(), {})->timesteps[0], 999.0f - static_cast<float>(left_out));
  }
  fixture.settings.timestep_spacing = TimestepSpacing::kTrailing;
  fixture.spec.steps = 900;
  EXPECT_THAT(
      std::string(DpmSteps(fixture.input(), {}).status().message()),
      HasSubstr("steps: 900 steps do not fit between the timesteps that the model's lambda_min_clipped leaves"));
}

TEST(SolverOfTest, RequestThenFileThenTwo) {
  Fixture fixture;
  EXPECT_EQ(SolverOf(fixture.input())->order, 2);
  fixture.settings.solver_order = 3;
  EXPECT_EQ(SolverOf(fixture.input())->order, 3);
  fixture.spec.options.solver_order = 1;
  EXPECT_EQ(SolverOf(fixture.input())->order, 1);
}

TEST(SolverOfTest, TypesAndAlgorithms) {
  Fixture fixture;
  for (const auto type : {SolverType::kMidpoint, SolverType::kBh1, SolverType::kBh2, SolverType::kLogRho}) {
    fixture.settings.solver_type = type;
    EXPECT_FALSE(SolverOf(fixture.input())->heun);
  }
  fixture.settings.solver_type = SolverType::kHeun;
  EXPECT_TRUE(SolverOf(fixture.input())->heun);
  EXPECT_FALSE(SolverOf(fixture.input())->sde);
  fixture.settings.algorithm_type = SolverAlgorithm::kDeis;
  EXPECT_FALSE(SolverOf(fixture.input())->sde);
  fixture.settings.algorithm_type = SolverAlgorithm::kSdeDpmSolverPlusPlus;
  EXPECT_TRUE(SolverOf(fixture.input())->sde);
}

TEST(SolverOfTest, RefusalsNameWhoAsked) {
  Fixture fixture;
  fixture.settings.solver_order = 4;
  EXPECT_EQ(SolverOf(fixture.input()).status().message(),
            "scheduler_config.json: solver_order: got 4; DPMPP_2M allows 1 to 3");
  fixture.spec.options.solver_order = 0;
  EXPECT_EQ(SolverOf(fixture.input()).status().message(),
            "sampler_options.solver_order: got 0; DPMPP_2M allows 1 to 3");
  fixture.spec.options.solver_order = 2;
  for (const auto algorithm : {SolverAlgorithm::kDpmSolver, SolverAlgorithm::kSdeDpmSolver}) {
    fixture.settings.algorithm_type = algorithm;
    const absl::Status status = SolverOf(fixture.input()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("algorithm_type is " + std::string(SolverAlgorithmName(algorithm)) + "; DPMPP_2M knows"));
  }
}

TEST(DpmWeightsTest, StepOfLengthZeroKeepsTheLatents) {
  const DpmLevel level(3.0);
  for (const bool sde : {false, true}) {
    const DpmWeights weights(level, level, sde);
    EXPECT_EQ(weights.carry, 1.0);
    for (const double other : {weights.x0, weights.midpoint, weights.heun, weights.second, weights.noise}) {
      EXPECT_EQ(other, 0.0);
    }
  }
}

TEST(DpmWeightsTest, ToSigmaZeroIsX0) {
  for (const bool sde : {false, true}) {
    const DpmWeights weights(DpmLevel(3.0), DpmLevel(0.0), sde);
    EXPECT_EQ(weights.carry, 0.0);
    EXPECT_EQ(weights.x0, 1.0);
    EXPECT_EQ(weights.noise, 0.0);
  }
}

// Short steps: the series of the weights, where their closed forms cancel most.
TEST(DpmWeightsTest, ShortSteps) {
  const DpmLevel from(1.0);
  const DpmLevel to(0.9999);
  const double h = to.lambda - from.lambda;
  const DpmWeights weights(from, to, false);
  EXPECT_NEAR(weights.heun / to.alpha, h / 2 - h * h / 6, 1e-11);
  EXPECT_NEAR(weights.midpoint / weights.heun, 1.0, 1e-4);
  EXPECT_NEAR(weights.second / to.alpha, h / 6, 1e-7);  // cancels to eight digits fewer
}

}  // namespace
}  // namespace stepcast::sampling
