#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

NoiseScheduleConfig Config(PredictionType prediction = PredictionType::kEpsilon) {
  NoiseScheduleConfig config;
  config.num_train_timesteps = 1100;
  config.beta_start = 1e-4;
  config.beta_end = 0.02;
  config.prediction_type = prediction;
  return config;
}

SamplerSpec Spec(SigmaSchedule schedule = SigmaSchedule::kDefault) {
  return {.sampler = Sampler::kDpm2Ancestral, .steps = 10, .sigma_schedule = schedule};
}

SamplerSpec FromStep8() {
  SamplerSpec spec = Spec();
  spec.strength = 0.2;
  return spec;
}

// From step 8 on values are around 121 and the noise's share is a difference of float32 squares near 30,000.
TEST(Dpm2AncestralTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"epsilon", {Config(), Spec(), true}, 13979.9433, 18.2030},
      {"v_prediction", {Config(PredictionType::kVPrediction), Spec(), true}, 331.8133, 0.4320},
      {"noise from step 8", {Config(), FromStep8(), true}, 93087.3437, 121.2074, 1e-4, 5e-2},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(Dpm2AncestralTest, DrawsOnSecondEvaluationsOnly) {
  const SharedProgram program = Compile(Config(), Spec()).value();
  ASSERT_EQ(program->evaluations.size(), 19u);
  for (size_t i = 0; i < 19; ++i) EXPECT_EQ(program->evaluations[i].draws_noise, i % 2 == 1) << i;
}

}  // namespace
}  // namespace stepcast::sampling
