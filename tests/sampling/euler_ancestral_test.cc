#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

NoiseScheduleConfig Config(PredictionType prediction = PredictionType::kEpsilon) {
  NoiseScheduleConfig config;
  config.num_train_timesteps = 1100;
  config.prediction_type = prediction;
  return config;
}

SamplerSpec Spec(int steps = 10) { return {.sampler = Sampler::kEulerAncestral, .steps = steps}; }

TEST(EulerAncestralTest, PublishedFullLoops) {
  SamplerSpec from_step_8 = Spec();
  from_step_8.strength = 0.2;
  const UpstreamCase cases[] = {
      {"epsilon", {Config(), Spec(), true}, 152.3192, 0.1983},
      {"v_prediction", {Config(PredictionType::kVPrediction), Spec(), true}, 108.4439, 0.1412},
      {"noise from step 8", {Config(), from_step_8, true}, 56163.0508, 73.1290},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(EulerAncestralTest, DrawsOnEveryStepAndUsesAllButTheLast) {
  for (const int steps : {1, 2, 25}) {
    const SharedProgram program = Compile(Config(), Spec(steps)).value();
    for (size_t i = 0; i < program->evaluations.size(); ++i) {
      const Evaluation& e = program->evaluations[i];
      EXPECT_TRUE(e.draws_noise);
      const bool uses = std::any_of(e.transition.begin(), e.transition.end(),
                                    [](const Term& term) { return term.from == Slot::kNoise; });
      EXPECT_EQ(uses, i + 1 < program->evaluations.size());
    }
  }
}

// The class of diffusers has no such key: a file written for another class must not change it.
TEST(EulerAncestralTest, IgnoresKeysOfOtherClasses) {
  NoiseScheduleConfig foreign = Config();
  foreign.use_karras_sigmas = true;
  foreign.final_sigmas_type = FinalSigmas::kSigmaMin;
  foreign.clip_sample = true;
  foreign.thresholding = true;
  EXPECT_EQ(Compile(foreign, Spec()).value()->evaluations, Compile(Config(), Spec()).value()->evaluations);
}

}  // namespace
}  // namespace stepcast::sampling
