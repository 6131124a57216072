#include <gtest/gtest.h>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

SamplerSpec Spec(std::optional<double> churn = std::nullopt) {
  SamplerSpec spec{.sampler = Sampler::kEdmEuler, .steps = 10};
  spec.options.churn = churn;
  return spec;
}

TEST(EdmEulerTest, PublishedFullLoop) {
  NoiseScheduleConfig config;
  config.num_train_timesteps = 256;
  ExpectPublished({"epsilon", {config, Spec()}, 34.1855, 0.044, 1e-3});
}

TEST(EdmEulerTest, ChurnDrawsAtEveryStep) {
  const SharedProgram plain = Compile({}, Spec()).value();
  EXPECT_EQ(*plain, *Compile({}, Spec(0.0)).value());
  for (const Evaluation& e : plain->evaluations) EXPECT_FALSE(e.draws_noise);
  const SharedProgram churned = Compile({}, Spec(2.0)).value();
  for (const Evaluation& e : churned->evaluations) EXPECT_TRUE(e.draws_noise);
}

// However large the churn, a step raises the variance to at most twice the level's.
TEST(EdmEulerTest, ChurnIsBounded) {
  EXPECT_EQ(*Compile({}, Spec(10.0 * 0.4142136)).value(), *Compile({}, Spec(1e6)).value());
  EXPECT_NE(*Compile({}, Spec(4.0)).value(), *Compile({}, Spec(1e6)).value());
}

// s_noise scales the noise that churn adds and nothing else.
TEST(EdmEulerTest, NoiseScale) {
  SamplerSpec doubled = Spec(2.0);
  doubled.options.s_noise = 2.0;
  const SharedProgram once = Compile({}, Spec(2.0)).value();
  const SharedProgram twice = Compile({}, doubled).value();
  for (size_t i = 0; i < once->evaluations.size(); ++i) {
    const std::vector<Term>& a = once->evaluations[i].transition;
    const std::vector<Term>& b = twice->evaluations[i].transition;
    ASSERT_EQ(a.size(), b.size());
    for (size_t k = 0; k < a.size(); ++k) {
      EXPECT_FLOAT_EQ(b[k].coefficient, (a[k].from == Slot::kNoise ? 2.0f : 1.0f) * a[k].coefficient);
    }
  }
}

TEST(EdmEulerTest, EndsAtX0) {
  const SharedProgram program = Compile({}, Spec()).value();
  const Evaluation& last = program->evaluations.back();
  ASSERT_EQ(last.transition.size(), 2u);
  EXPECT_NEAR(last.transition[0].coefficient, last.x0_from_latents, 1e-7);
  EXPECT_FLOAT_EQ(last.transition[1].coefficient, last.x0_from_output);
}

}  // namespace
}  // namespace stepcast::sampling
