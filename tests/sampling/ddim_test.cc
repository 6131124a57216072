#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;

SamplerSpec Spec(int steps = 10) { return {.sampler = Sampler::kDdim, .steps = steps}; }

NoiseScheduleConfig Config(PredictionType prediction = PredictionType::kEpsilon) {
  NoiseScheduleConfig config;
  config.prediction_type = prediction;
  return config;
}

NoiseScheduleConfig WithFinalAlpha(bool one) {
  NoiseScheduleConfig config;
  config.set_alpha_to_one = one;
  config.beta_start = 0.01;
  return config;
}

SamplerSpec FromImage(double strength) {
  SamplerSpec spec = Spec();
  spec.strength = strength;
  return spec;
}

TEST(DdimTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"epsilon", {Config(), Spec()}, 172.0067, 0.223967},
      {"v_prediction", {Config(PredictionType::kVPrediction), Spec()}, 52.5302, 0.0684},
      {"set_alpha_to_one", {WithFinalAlpha(true), Spec()}, 149.8295, 0.1951},
      {"no set_alpha_to_one", {WithFinalAlpha(false), Spec()}, 149.0784, 0.1941},
      {"noise from step 8", {Config(), FromImage(0.2)}, 354.5418, 0.4616},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(DdimTest, TimestepsWithOffset) {
  NoiseScheduleConfig config;
  config.steps_offset = 1;
  const SharedProgram program = Compile(config, Spec(5)).value();
  std::vector<float> timesteps;
  for (const Evaluation& e : program->evaluations) timesteps.push_back(e.timestep);
  EXPECT_THAT(timesteps, ElementsAre(801, 601, 401, 201, 1));
}

// The published table of variances: at eta 1 the noise coefficient squared, for a step from t to t - stride.
TEST(DdimTest, PublishedVariances) {
  struct Row {
    int t;
    int steps;
    double variance;
    bool alpha_to_one;
  };
  const Row rows[] = {{420, 50, 0.14771, true},
                      {980, 50, 0.32460, true},
                      {487, 1000, 0.00979, true},
                      {999, 1000, 0.02, true},
                      {0, 50, 0.0, false}};
  for (const Row& row : rows) {
    NoiseScheduleConfig config;
    config.set_alpha_to_one = row.alpha_to_one;
    SamplerSpec spec = Spec(row.steps);
    spec.eta = 1.0;
    const SharedProgram program = Compile(config, spec).value();
    bool found = false;
    for (const Evaluation& e : program->evaluations) {
      if (e.timestep != static_cast<float>(row.t)) continue;
      found = true;
      double coefficient = 0.0;
      for (const Term& term : e.transition) {
        if (term.from == Slot::kNoise) coefficient = term.coefficient;
      }
      EXPECT_NEAR(coefficient * coefficient, row.variance, 1e-5) << row.t;
    }
    EXPECT_TRUE(found) << row.t;
  }
}

// Three groups of samples at timesteps 0, 1 and 2 in one batch, one step each, as upstream's parallel test: every
// image has its own program and position.
TEST(DdimTest, PublishedParallelStep) {
  double sum = 0.0;
  for (int t = 0; t < 3; ++t) {
    NoiseScheduleConfig config;
    config.steps_offset = t;  // makes t the last timestep of the list
    const SharedProgram program = Compile(config, Spec(10)).value();
    const float shift = t == 0 ? 0.0f : t == 1 ? 0.1f : -0.1f;
    std::vector<float> latents = DummySample();
    for (float& value : latents) value += shift;
    ReferenceInterpreter image(*program, latents, 9);
    ASSERT_EQ(image.next().timestep, static_cast<float>(t));
    image.Step(DummyModel()(image.DenoiserInput(), image.next()));
    sum += MagnitudeOf(image.Result()).sum;
  }
  EXPECT_NEAR(sum, 1147.7904, 1e-2);
  EXPECT_NEAR(sum / (3 * 768), 0.4982, 1e-3);
}

TEST(DdimTest, DrawsOnlyWithEta) {
  for (const double eta : {0.0, 0.3, 1.0}) {
    SamplerSpec spec = Spec(8);
    spec.eta = eta;
    const SharedProgram program = Compile(Config(), spec).value();
    for (const Evaluation& e : program->evaluations) EXPECT_EQ(e.draws_noise, eta > 0.0);
  }
}

TEST(DdimTest, ZeroTerminalSnrNeedsAPredictionThatSurvivesIt) {
  NoiseScheduleConfig config;
  config.rescale_betas_zero_snr = true;
  SamplerSpec spec = Spec();
  spec.timestep_spacing = TimestepSpacing::kTrailing;
  const absl::Status refused = Compile(config, spec).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()),
              testing::StartsWith("timestep_spacing: with it, DDIM has coefficients that are not finite at step 0"));
  config.timestep_spacing = TimestepSpacing::kTrailing;
  EXPECT_THAT(std::string(Compile(config, spec).status().message()),
              testing::StartsWith("sampler: DDIM has coefficients that are not finite at step 0"))
      << "the model's own spacing is no wish of the request";

  config.prediction_type = PredictionType::kVPrediction;
  EXPECT_TRUE(Compile(config, spec).ok());
}

}  // namespace
}  // namespace stepcast::sampling
