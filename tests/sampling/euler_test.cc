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

SamplerSpec Spec(SigmaSchedule schedule = SigmaSchedule::kDefault) {
  return {.sampler = Sampler::kEuler, .steps = 10, .sigma_schedule = schedule};
}

TEST(EulerTest, PublishedFullLoops) {
  SamplerSpec from_step_8 = Spec();
  from_step_8.strength = 0.2;
  const UpstreamCase cases[] = {
      {"epsilon", {Config(), Spec(), true}, 10.0807, 0.0131},
      {"v_prediction", {Config(PredictionType::kVPrediction), Spec(), true}, 0.0002, 2.2676e-6},
      {"karras", {Config(), Spec(SigmaSchedule::kKarras), true}, 124.52299, 0.162139},
      {"noise from step 8", {Config(), from_step_8, true}, 57062.9297, 74.3007},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

// The published v-prediction sum is smaller than its tolerance, so it proves little. diffusers 0.40 gives this mean,
// in float32 and in float64 alike.
TEST(EulerTest, VPredictionToTheLastDigits) {
  const Magnitude got = MagnitudeOf(
      RunLoop({.config = Config(PredictionType::kVPrediction), .spec = Spec(), .scaled_input_enters_step = true}));
  EXPECT_NEAR(got.mean, 3.1486e-13, 1e-17);
}

TEST(EulerTest, EpsilonIsOneTermEach) {
  const SharedProgram program = Compile(Config(), Spec()).value();
  for (const Evaluation& e : program->evaluations) {
    ASSERT_EQ(e.transition.size(), 2u);
    EXPECT_EQ(e.transition[0], (Term{Slot::kLatents, Slot::kLatents, 1.0f}));
    EXPECT_EQ(e.transition[1].from, Slot::kModelOutput);
    EXPECT_LT(e.transition[1].coefficient, 0.0f);  // sigma falls
    EXPECT_FALSE(e.draws_noise);
  }
}

TEST(EulerTest, ModelsKarrasFlagCountsUnlessTheRequestChooses) {
  NoiseScheduleConfig flagged = Config();
  flagged.use_karras_sigmas = true;
  EXPECT_EQ(Compile(flagged, Spec()).value()->evaluations[3].timestep,
            Compile(Config(), Spec(SigmaSchedule::kKarras)).value()->evaluations[3].timestep);
  EXPECT_EQ(Compile(flagged, Spec(SigmaSchedule::kBeta)).value()->evaluations[3].timestep,
            Compile(Config(), Spec(SigmaSchedule::kBeta)).value()->evaluations[3].timestep);
}

}  // namespace
}  // namespace stepcast::sampling
