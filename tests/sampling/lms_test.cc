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
  return {.sampler = Sampler::kLms, .steps = 10, .sigma_schedule = schedule};
}

SamplerSpec FromStep8() {
  SamplerSpec spec = Spec();
  spec.strength = 0.2;
  return spec;
}

// The sum from step 8 on is of float32 values around 36, whose rounding adds up to some 1e-3.
TEST(LmsTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"epsilon", {Config(), Spec(), true}, 1006.388, 1.31, 6e-4},
      {"v_prediction", {Config(PredictionType::kVPrediction), Spec(), true}, 0.0017, 2.2676e-6},
      {"karras", {Config(), Spec(SigmaSchedule::kKarras), true}, 3812.9927, 4.9648},
      {"noise from step 8", {Config(), FromStep8(), true}, 27663.6895, 36.0204, 6e-5, 5e-3},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(LmsTest, TheOrderIsTheNumberOfDerivativesRead) {
  for (int order = 1; order <= 4; ++order) {
    SamplerSpec spec = Spec();
    spec.options.solver_order = order;
    const SharedProgram program = Compile(Config(), spec).value();
    int history = 0;
    for (const Term& term : program->evaluations[6].transition) {
      history += term.to == Slot::kLatents && term.from >= Slot::kHistory0 && term.from <= Slot::kHistory3;
    }
    EXPECT_EQ(history, order - 1);
  }
}

// With one derivative the method is Euler.
TEST(LmsTest, OrderOneIsEuler) {
  SamplerSpec spec = Spec();
  spec.options.solver_order = 1;
  SamplerSpec euler = Spec();
  euler.sampler = Sampler::kEuler;
  const std::vector<float> a = RunLoop({Config(), spec});
  const std::vector<float> b = RunLoop({Config(), euler});
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4f * (1.0f + std::abs(b[i])));
}

}  // namespace
}  // namespace stepcast::sampling
