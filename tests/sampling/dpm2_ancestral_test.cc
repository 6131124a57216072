#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

constexpr Sampler kSampler = Sampler::kDpm2Ancestral;

// From step 8 on values are around 121 and the noise's share is a difference of float32 squares near 30,000.
TEST(Dpm2AncestralTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"epsilon", {UpstreamConfig(), TenSteps(kSampler), true}, 13979.9433, 18.2030},
      {"v_prediction", {UpstreamConfig(PredictionType::kVPrediction), TenSteps(kSampler), true}, 331.8133, 0.4320},
      {"noise from step 8", {UpstreamConfig(), FromStep8(kSampler), true}, 93087.3437, 121.2074, 1e-4, 5e-2},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(Dpm2AncestralTest, DrawsOnSecondEvaluationsOnly) {
  const SharedProgram program = Compile(UpstreamConfig(), TenSteps(kSampler)).value();
  ASSERT_EQ(program->evaluations.size(), 19u);
  for (size_t i = 0; i < 19; ++i) EXPECT_EQ(program->evaluations[i].draws_noise, i % 2 == 1) << i;
}

}  // namespace
}  // namespace stepcast::sampling
