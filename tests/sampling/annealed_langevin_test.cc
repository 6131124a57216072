#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/compile/compile.h"
#include "sampling/samplers/registry.h"
#include "sampling/schedule/sigma_schedule.h"

namespace stepcast::sampling {
namespace {

SamplerSpec Spec(int levels, int inner_steps) {
  SamplerSpec spec{.sampler = Sampler::kAnnealedLangevin, .steps = levels};
  spec.options.langevin = {.levels = levels, .inner_steps = inner_steps};
  return spec;
}

NoiseScheduleConfig Levels(double low, double high) {
  NoiseScheduleConfig config;
  config.sigma_min = low;
  config.sigma_max = high;
  return config;
}

float Coefficient(const Evaluation& e, Slot from) {
  for (const Term& term : e.transition) {
    if (term.to == Slot::kLatents && term.from == from) return term.coefficient;
  }
  return 0.0f;
}

// x += alpha / 2 * score + sqrt(alpha) * z with score = -output / sigma and alpha = epsilon sigma^2 / sigma_L^2.
TEST(AnnealedLangevinTest, StepsOfTheAlgorithm) {
  SamplerSpec spec = Spec(3, 2);
  spec.options.langevin.epsilon = 0.02;
  const SharedProgram program = Compile(Levels(0.1, 10.0), spec).value();
  ASSERT_EQ(program->evaluations.size(), 7u);
  EXPECT_EQ(program->steps, 3);
  const double sigmas[] = {10.0, 1.0, 0.1};
  for (int i = 0; i < 6; ++i) {
    const Evaluation& e = program->evaluations[i];
    const double sigma = sigmas[i / 2];
    const double alpha = 0.02 * sigma * sigma / 0.01;
    EXPECT_EQ(e.step, i / 2);
    EXPECT_TRUE(e.draws_noise);
    EXPECT_NEAR(e.input_scale, 1.0 / std::hypot(sigma, 1.0), 1e-6);
    EXPECT_EQ(Coefficient(e, Slot::kLatents), 1.0f);
    EXPECT_NEAR(Coefficient(e, Slot::kModelOutput), -alpha / 2.0 / sigma, 1e-6 * alpha / sigma);
    EXPECT_NEAR(Coefficient(e, Slot::kNoise), std::sqrt(alpha), 1e-6 * std::sqrt(alpha));
  }
  const Evaluation& last = program->evaluations.back();
  EXPECT_FALSE(last.draws_noise);
  EXPECT_NEAR(Coefficient(last, Slot::kModelOutput), -0.1, 1e-6);  // x + sigma_L^2 * score
}

TEST(AnnealedLangevinTest, OptionsAndDefaults) {
  SamplerSpec spec{.sampler = Sampler::kAnnealedLangevin, .steps = 7};
  EXPECT_EQ(Compile({}, spec).value()->evaluations.size(), 7u * 5u + 1u);  // `steps` levels of 5
  spec.options.langevin.final_denoise = false;
  EXPECT_EQ(Compile({}, spec).value()->evaluations.size(), 7u * 5u);
  spec.steps = 4;
  spec.options.langevin = {.levels = 4, .inner_steps = 1};
  EXPECT_EQ(Compile({}, spec).value()->steps, 4);
  spec.strength = 0.5;
  const SharedProgram half = Compile({}, spec).value();
  EXPECT_EQ(half->steps, 2);
  EXPECT_EQ(half->start.image_coef, 1.0f);
  EXPECT_NEAR(half->start.noise_coef, 20.0 * std::pow(0.05 / 20.0, 2.0 / 3.0), 1e-4);
}

// A denoiser is told the same noise level whatever it predicts.
TEST(AnnealedLangevinTest, PredictionTypesAgree) {
  const double sigma = 2.0;
  const double alpha = 1.0 / std::hypot(sigma, 1.0);
  const double latents = 0.7;  // x in VE variables
  const double x0 = 0.2;
  const double noise = (latents - x0) / sigma;
  const std::pair<PredictionType, double> outputs[] = {
      {PredictionType::kEpsilon, noise},
      {PredictionType::kSample, x0},
      {PredictionType::kVPrediction, alpha * noise - sigma * alpha * x0},
  };
  for (const auto& [prediction, output] : outputs) {
    NoiseScheduleConfig config = Levels(0.5, sigma);
    config.prediction_type = prediction;
    SamplerSpec spec = Spec(2, 1);
    spec.options.langevin.epsilon = 0.1;
    const Evaluation e = Compile(config, spec).value()->evaluations[0];
    const double moved = Coefficient(e, Slot::kLatents) * latents + Coefficient(e, Slot::kModelOutput) * output;
    EXPECT_NEAR(moved, latents - 0.5 * 0.1 * 16.0 * noise / sigma, 1e-6) << PredictionTypeName(prediction);
  }
}

TEST(AnnealedLangevinTest, ALevelLeftByStrengthIsNeeded) {
  SamplerSpec spec = Spec(2, 1);
  spec.strength = 0.1;
  EXPECT_THAT(std::string(Compile({}, spec).status().message()), testing::StartsWith("strength: "));
}

TEST(AnnealedLangevinTest, EvaluationsAreBounded) {
  EXPECT_TRUE(Compile({}, Spec(100, 100)).ok());
  EXPECT_THAT(std::string(Compile({}, Spec(1000, 11)).status().message()),
              testing::StartsWith("sampler_options.langevin.inner_steps: 1000 levels of 11 steps are more than 10000"));
}

}  // namespace
}  // namespace stepcast::sampling
