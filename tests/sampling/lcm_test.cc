#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SamplerSpec Spec(int steps) { return {.sampler = Sampler::kLcm, .steps = steps}; }

std::vector<float> Timesteps(const SamplerSpec& spec) {
  std::vector<float> timesteps;
  const SharedProgram program = Compile({}, spec).value();
  for (const Evaluation& e : program->evaluations) timesteps.push_back(e.timestep);
  return timesteps;
}

TEST(LcmTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"one step", {{}, Spec(1)}, 18.7097, 0.0244},
      {"ten steps", {{}, Spec(10)}, 197.7616, 0.2575},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(LcmTest, PublishedTimesteps) {
  EXPECT_THAT(Timesteps(Spec(1)), ElementsAre(999));
  EXPECT_THAT(Timesteps(Spec(4)), ElementsAre(999, 759, 499, 259));
  EXPECT_THAT(Timesteps(Spec(8)), ElementsAre(999, 879, 759, 639, 499, 379, 259, 139));
}

TEST(LcmTest, AListThatEqualsTheDefaultOneChangesNothing) {
  SamplerSpec spec = Spec(4);
  spec.timesteps = {999, 759, 499, 259};
  EXPECT_EQ(*Compile({}, spec).value(), *Compile({}, Spec(4)).value());
}

TEST(LcmTest, TheDistillationsStepsAreTheLimit) {
  SamplerSpec spec = Spec(51);
  EXPECT_THAT(std::string(Compile({}, spec).status().message()),
              HasSubstr("steps: got 51; LCM allows at most original_inference_steps, which is 50"));
  spec.options.original_inference_steps = 100;
  EXPECT_TRUE(Compile({}, spec).ok());
}

TEST(LcmTest, DrawsOnEveryStepButTheLast) {
  const SharedProgram program = Compile({}, Spec(4)).value();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(program->evaluations[i].draws_noise, i < 3);
}

}  // namespace
}  // namespace stepcast::sampling
