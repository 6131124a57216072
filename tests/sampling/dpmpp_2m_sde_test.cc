#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

SamplerSpec Spec(int steps = 10) { return {.sampler = Sampler::kDpmpp2mSde, .steps = steps}; }

TEST(Dpmpp2mSdeTest, DrawsAtEveryStepTheLastIncluded) {
  for (const int steps : {1, 2, 10}) {
    const SharedProgram program = Compile({}, Spec(steps)).value();
    ASSERT_EQ(program->evaluations.size(), static_cast<size_t>(steps));
    for (const Evaluation& e : program->evaluations) EXPECT_TRUE(e.draws_noise);
  }
}

TEST(Dpmpp2mSdeTest, LastStepEndsAtX0WithoutNoise) {
  const SharedProgram program = Compile({}, Spec()).value();
  const Evaluation& last = program->evaluations.back();
  ASSERT_EQ(last.transition.size(), 2u);
  EXPECT_EQ(last.transition[0].coefficient, last.x0_from_latents);
  EXPECT_EQ(last.transition[1].coefficient, last.x0_from_output);
}

// On data that is 0 everywhere, where x0 = 0, a step must take noise of the level's variance to noise of the next
// one's: carry^2 sigma^2 + noise^2 = next sigma^2, exactly.
TEST(Dpmpp2mSdeTest, StepKeepsTheVarianceOfTheDiffusion) {
  NoiseScheduleConfig config;
  config.prediction_type = PredictionType::kSample;
  const SharedProgram program = Compile(config, Spec()).value();
  double variance = 1.0;
  for (size_t i = 0; i < program->evaluations.size(); ++i) {
    double carry = 0.0;
    double noise = 0.0;
    for (const Term& term : program->evaluations[i].transition) {
      if (term.to != Slot::kLatents) continue;
      if (term.from == Slot::kLatents) carry = term.coefficient;
      if (term.from == Slot::kNoise) noise = term.coefficient;
    }
    variance = carry * carry * variance + noise * noise;
    if (i + 1 == program->evaluations.size()) continue;
    // The level of step i + 1: its epsilon form divides by alpha.
    const Evaluation& next = Compile({}, Spec()).value()->evaluations[i + 1];
    const double alpha = 1.0 / next.x0_from_latents;
    // Coefficients are float32; the first level's variance is 1 - 4e-5, not 1.
    EXPECT_NEAR(variance, 1.0 - alpha * alpha, 1e-4) << i;
  }
  EXPECT_EQ(variance, 0.0);
}

TEST(Dpmpp2mSdeTest, TheNameSaysWhatIsSolved) {
  NoiseScheduleConfig config;
  config.algorithm_type = SolverAlgorithm::kSdeDpmSolverPlusPlus;
  EXPECT_EQ(*Compile(config, Spec()).value(), *Compile({}, Spec()).value());
  const SamplerSpec ode{.sampler = Sampler::kDpmpp2m, .steps = 10};
  EXPECT_EQ(*Compile(config, ode).value(), *Compile({}, ode).value());
}

}  // namespace
}  // namespace stepcast::sampling
