#include "sampling/program/describe.h"

#include <gtest/gtest.h>

#include "sampling/compile/compile.h"

namespace stepcast::sampling {
namespace {

std::string Text(const SamplerSpec& spec, const NoiseScheduleConfig& config = {}) {
  return Describe(*Compile(config, spec).value(), 4);
}

TEST(DescribeTest, Ddim) {
  const SamplerSpec spec{
      .sampler = Sampler::kDdim, .steps = 2, .guidance_scale = 7.5, .guidance_rescale = 0.5, .guidance_end = 0.5};
  EXPECT_EQ(Text(spec),
            R"(DDIM 2 steps, start 0*image +1*noise, slots latents model_output x0
0: t=500 in*1 cfg=7.5 rescale=0.5 x0=clip(1)[3.585*latents -3.443*model_output] latents=0.01*model_output+0.9999*x0
1: t=0 in*1 x0=clip(1)[1*latents -0.01*model_output] latents=1*x0
)");
}

TEST(DescribeTest, EulerAncestral) {
  EXPECT_EQ(Text({.sampler = Sampler::kEulerAncestral, .steps = 2}),
            R"(EULER_ANCESTRAL 2 steps, start 0*image +157.4*noise, slots latents model_output x0 noise
0: t=999 in*0.006353 draws x0=[1*latents -157.4*model_output] latents=1*latents-157.4*model_output+0.01*noise
1: t=0 in*0.9999 draws x0=[1*latents -0.01*model_output] latents=1*latents-0.01*model_output
)");
}

TEST(DescribeTest, Dpmpp2mFromAnImageWithThresholding) {
  NoiseScheduleConfig config;
  config.thresholding = true;
  SamplerSpec spec{.sampler = Sampler::kDpmpp2m, .steps = 4};
  spec.strength = 0.75;
  EXPECT_EQ(Text(spec, config),
            R"(DPMPP_2M 3 steps, start 0.05788*image +0.9983*noise, slots latents model_output x0 history0
0: t=749 in*1 x0=threshold(0.995,1)[17.28*latents -17.25*model_output] latents=0.9619*latents+0.2232*x0 history0=1*x0
1: t=500 in*1 x0=threshold(0.995,1)[3.585*latents -3.443*model_output] latents=0.7204*latents+0.728*x0-0.2069*history0
2: t=250 in*1 x0=threshold(0.995,1)[1.385*latents -0.958*model_output] latents=1*x0
)");
}

TEST(DescribeTest, Finish) {
  SamplingProgram program;
  program.finish = {0.5f, 0.25f};
  EXPECT_EQ(Describe(program), "DDIM 0 steps, start 0*image +1*noise, slots, finish 0.5*latents +0.25*x0\n");
}

TEST(SlotNameTest, FollowsTheEnum) {
  EXPECT_EQ(SlotName(Slot::kLatents), "latents");
  EXPECT_EQ(SlotName(Slot::kAccumulator), "accumulator");
}

}  // namespace
}  // namespace stepcast::sampling
