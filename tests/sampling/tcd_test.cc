#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;

SamplerSpec Spec(int steps, double eta = 0.0) { return {.sampler = Sampler::kTcd, .steps = steps, .eta = eta}; }

TEST(TcdTest, PublishedFullLoops) {
  const UpstreamCase cases[] = {
      {"one step", {{}, Spec(1)}, 29.8715, 0.0389},
      {"ten steps", {{}, Spec(10)}, 181.2040, 0.2359},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

// diffusers reads an explicit original_inference_steps as "all training timesteps".
TEST(TcdTest, TimestepsOfTheModelAndOfTheRequest) {
  SamplerSpec spec = Spec(4);
  const auto timesteps = [&] {
    std::vector<float> list;
    const SharedProgram program = Compile({}, spec).value();
    for (const Evaluation& e : program->evaluations) list.push_back(e.timestep);
    return list;
  };
  EXPECT_THAT(timesteps(), ElementsAre(999, 759, 499, 259));
  spec.options.original_inference_steps = 50;
  EXPECT_THAT(timesteps(), ElementsAre(999, 749, 499, 249));
}

TEST(TcdTest, DrawsWithEtaOnEveryStepButTheLast) {
  for (const double eta : {0.0, 0.3, 1.0}) {
    const SharedProgram program = Compile({}, Spec(4, eta)).value();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(program->evaluations[i].draws_noise, eta > 0.0 && i < 3);
  }
}

}  // namespace
}  // namespace stepcast::sampling
