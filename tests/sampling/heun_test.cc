#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

constexpr Sampler kSampler = Sampler::kHeun;

TEST(HeunTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"epsilon", {UpstreamConfig(), TenSteps(kSampler), true}, 0.1233, 0.0002},
      {"v_prediction", {UpstreamConfig(PredictionType::kVPrediction), TenSteps(kSampler), true}, 4.6934e-7, 6.1112e-10},
      {"karras", {UpstreamConfig(), TenSteps(kSampler, SigmaSchedule::kKarras), true}, 0.00015, 1.9869e-7},
      {"noise from step 8", {UpstreamConfig(), FromStep8(kSampler), true}, 75074.8906, 97.7538},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

// Published sums below their own tolerance prove little. diffusers 0.40 gives this mean, in float32 and float64 alike.
TEST(HeunTest, VPredictionToTheLastDigits) {
  const Magnitude got = MagnitudeOf(RunLoop({UpstreamConfig(PredictionType::kVPrediction), TenSteps(kSampler), true}));
  EXPECT_NEAR(got.mean, 6.41129e-10, 1e-14);
}

TEST(HeunTest, TwoEvaluationsPerStepButTheLast) {
  const SharedProgram program = Compile({}, {.sampler = Sampler::kHeun, .steps = 3}).value();
  ASSERT_EQ(program->evaluations.size(), 5u);
  const float timesteps[] = {999, 499.5, 499.5, 0, 0};
  const int steps[] = {0, 0, 1, 1, 2};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(program->evaluations[i].timestep, timesteps[i]);
    EXPECT_EQ(program->evaluations[i].step, steps[i]);
    EXPECT_FALSE(program->evaluations[i].draws_noise);
  }
}

TEST(HeunTest, ClipsOnlyWhereItsClassDoes) {
  NoiseScheduleConfig config;
  EXPECT_EQ(Compile(config, TenSteps(kSampler)).value()->evaluations[0].post.kind, PostKind::kNone);
  config.thresholding = true;  // not a key of the class
  EXPECT_EQ(Compile(config, TenSteps(kSampler)).value()->evaluations[0].post.kind, PostKind::kNone);
  config.clip_sample = true;
  EXPECT_EQ(Compile(config, TenSteps(kSampler)).value()->evaluations[0].post.kind, PostKind::kClip);
}

}  // namespace
}  // namespace stepcast::sampling
