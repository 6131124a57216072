#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

constexpr Sampler kSampler = Sampler::kLms;

// The sum from step 8 on is of float32 values around 36, whose rounding adds up to some 1e-3.
TEST(LmsTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"epsilon", {UpstreamConfig(), TenSteps(kSampler), true}, 1006.388, 1.31, 6e-4},
      {"v_prediction", {UpstreamConfig(PredictionType::kVPrediction), TenSteps(kSampler), true}, 0.0017, 2.2676e-6},
      {"karras", {UpstreamConfig(), TenSteps(kSampler, SigmaSchedule::kKarras), true}, 3812.9927, 4.9648},
      {"noise from step 8", {UpstreamConfig(), FromStep8(kSampler), true}, 27663.6895, 36.0204, 6e-5, 5e-3},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(LmsTest, TheOrderIsTheNumberOfDerivativesRead) {
  for (int order = 1; order <= 4; ++order) {
    SamplerSpec spec = TenSteps(kSampler);
    spec.options.solver_order = order;
    const SharedProgram program = Compile(UpstreamConfig(), spec).value();
    int history = 0;
    for (const Term& term : program->evaluations[6].transition) {
      history += term.to == Slot::kLatents && term.from >= Slot::kHistory0 && term.from <= Slot::kHistory3;
    }
    EXPECT_EQ(history, order - 1);
  }
}

// With one derivative the method is Euler.
TEST(LmsTest, OrderOneIsEuler) {
  SamplerSpec spec = TenSteps(kSampler);
  spec.options.solver_order = 1;
  SamplerSpec euler = TenSteps(kSampler);
  euler.sampler = Sampler::kEuler;
  const std::vector<float> a = RunLoop({UpstreamConfig(), spec});
  const std::vector<float> b = RunLoop({UpstreamConfig(), euler});
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4f * (1.0f + std::abs(b[i])));
}

}  // namespace
}  // namespace stepcast::sampling
