#include "sampling/samplers/edm_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace stepcast::sampling {
namespace {

struct Fixture {
  explicit Fixture(ScheduleSettings wanted = {}, int steps = 4)
      : spec{.sampler = Sampler::kEdmEuler, .steps = steps},
        settings(std::move(wanted)),
        schedule(NoiseSchedule::Create({}).value()) {}

  SamplerInput input(int first_step = 0) { return {spec, settings, schedule, first_step}; }

  SamplerSpec spec;
  ScheduleSettings settings;
  NoiseSchedule schedule;
};

TEST(EdmFamilyTest, LevelsFallFromMaxToMin) {
  for (const SigmaSchedule schedule : {SigmaSchedule::kKarras, SigmaSchedule::kExponential}) {
    Fixture fixture({.edm_sigma_schedule = schedule});
    const std::vector<float> sigmas = EdmSigmas(fixture.input()).value();
    ASSERT_EQ(sigmas.size(), 5u);
    EXPECT_FLOAT_EQ(sigmas[0], 80.0f);
    EXPECT_NEAR(sigmas[3], 0.002f, 1e-8f);
    EXPECT_EQ(sigmas[4], 0.0f);
    for (size_t i = 1; i < sigmas.size(); ++i) EXPECT_LT(sigmas[i], sigmas[i - 1]);
    if (schedule == SigmaSchedule::kExponential) {
      EXPECT_NEAR(sigmas[0] / sigmas[1], sigmas[1] / sigmas[2], 1e-3);
    }
    fixture.spec.steps = 1;
    const float only = schedule == SigmaSchedule::kExponential ? 0.002f : 80.0f;  // as in diffusers
    EXPECT_FLOAT_EQ(EdmSigmas(fixture.input()).value()[0], only);
  }
}

TEST(EdmFamilyTest, RequestWinsOverTheFile) {
  Fixture fixture({.sigma_schedule = SigmaSchedule::kExponential, .edm_sigma_schedule = SigmaSchedule::kKarras});
  Fixture exponential({.edm_sigma_schedule = SigmaSchedule::kExponential});
  EXPECT_EQ(EdmSigmas(fixture.input()).value(), EdmSigmas(exponential.input()).value());
}

TEST(EdmFamilyTest, SigmaMinRepeatsTheLastLevel) {
  Fixture fixture({.final_sigmas_type = FinalSigmas::kSigmaMin, .sigma_min = 0.01, .sigma_max = 20.0});
  const std::vector<float> sigmas = EdmSigmas(fixture.input()).value();
  EXPECT_FLOAT_EQ(sigmas[0], 20.0f);
  EXPECT_EQ(sigmas[4], sigmas[3]);
  EXPECT_FLOAT_EQ(EdmStart(fixture.input(), sigmas).noise_coef, std::hypot(20.0f, 1.0f));
  fixture.spec.strength = 0.5;
  EXPECT_EQ(EdmStart(fixture.input(2), sigmas), (Start{1.0f, sigmas[2]}));
}

TEST(EdmFamilyTest, ExplicitLevels) {
  Fixture fixture({}, 2);
  fixture.spec.sigmas = {10.0, 1.0, 0.0};
  const std::vector<float> sigmas = EdmSigmas(fixture.input()).value();
  EXPECT_THAT(sigmas, testing::ElementsAre(10.0f, 1.0f, 0.0f));
  EXPECT_FLOAT_EQ(EdmStart(fixture.input(), sigmas).noise_coef, std::hypot(10.0f, 1.0f));
}

TEST(EdmFamilyTest, Refusals) {
  Fixture sample({.prediction_type = PredictionType::kSample});
  EXPECT_THAT(std::string(EdmSigmas(sample.input()).status().message()),
              testing::StartsWith("sampler: EDM_EULER needs a model whose prediction_type is epsilon or v_prediction"));
  Fixture upside_down({.sigma_min = 3.0, .sigma_max = 3.0});
  EXPECT_THAT(std::string(EdmSigmas(upside_down.input()).status().message()),
              testing::StartsWith("scheduler_config.json: sigma_min is 3; it must be below sigma_max, 3"));
}

// Table 1 of Karras et al. 2022: inputs and training targets have unit variance, whatever the level.
TEST(EdmFamilyTest, PreconditioningKeepsUnitVariance) {
  const ScheduleSettings settings{.sigma_data = 0.5};
  for (const double sigma : {0.002, 0.5, 3.0, 80.0}) {
    EXPECT_NEAR(EdmInputScale(sigma, 0.5) * std::hypot(sigma, 0.5), 1.0, 1e-12);
    const PredictionForm form = EdmX0(settings, sigma);
    // The target (x0 - skip * latents) / out, of data with standard deviation sigma_data.
    const double target = std::hypot((1.0 - form.from_latents) * 0.5, form.from_latents * sigma) / form.from_output;
    EXPECT_NEAR(target, 1.0, 1e-12);
    EXPECT_EQ(EdmTimestep(sigma), 0.25 * std::log(sigma));
  }
  const ScheduleSettings v{.prediction_type = PredictionType::kVPrediction};
  EXPECT_EQ(EdmX0(v, 2.0).from_output, -EdmX0(settings, 2.0).from_output);
}

}  // namespace
}  // namespace stepcast::sampling
