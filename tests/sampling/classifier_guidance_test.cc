#include "sampling/classifier_guidance.h"

#include <cmath>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/compile.h"

namespace stepcast::sampling {
namespace {

using testing::HasSubstr;

NoiseScheduleConfig Config(PredictionType prediction) {
  NoiseScheduleConfig config;
  config.beta_schedule = BetaSchedule::kSquaredCosCapV2;
  config.prediction_type = prediction;
  config.clip_sample = false;
  return config;
}

SharedProgram Compiled(Sampler sampler, PredictionType prediction, double scale) {
  SamplerSpec spec;
  spec.sampler = sampler;
  spec.steps = 8;
  spec.classifier_scale = scale;
  const auto program = Compile(Config(prediction), spec);
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

// Whatever a model predicts, guidance moves x0 by (1 - alpha_bar) / sqrt(alpha_bar) * scale * gradient: the coefficient
// times what one unit of output moves it. sqrt(alpha_bar) of the cosine schedule is known in closed form, but for the
// last entries, whose betas are capped.
TEST(ClassifierGuidance, MovesX0TheSameWayForEveryPrediction) {
  constexpr double kScale = 3.0;
  const double start = std::cos(0.008 / 1.008 * M_PI / 2);
  for (const Sampler sampler : {Sampler::kDdim, Sampler::kDdpm, Sampler::kEuler, Sampler::kDpmpp2m}) {
    for (const PredictionType prediction :
         {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample}) {
      const SharedProgram program = Compiled(sampler, prediction, kScale);
      for (const Evaluation& evaluation : program->evaluations) {
        if (evaluation.timestep > 990) continue;
        const double alpha = std::cos(((evaluation.timestep + 1) / 1000 + 0.008) / 1.008 * M_PI / 2) / start;
        const double expected = kScale * (1 - alpha * alpha) / alpha;
        // Fractional timesteps lie between entries of the table, on a line in the logarithm.
        EXPECT_NEAR(evaluation.classifier_coef * evaluation.x0_from_output, expected, 2e-3 * expected)
            << SamplerName(sampler) << " " << PredictionTypeName(prediction) << " t " << evaluation.timestep;
      }
    }
  }
}

TEST(ClassifierGuidance, IsOffAtScaleZero) {
  const SharedProgram program = Compiled(Sampler::kDdim, PredictionType::kEpsilon, 0.0);
  for (const Evaluation& evaluation : program->evaluations) EXPECT_EQ(evaluation.classifier_coef, 0.0f);
}

TEST(ClassifierGuidance, IsProportionalToTheScale) {
  const SharedProgram one = Compiled(Sampler::kEuler, PredictionType::kVPrediction, 1.0);
  const SharedProgram four = Compiled(Sampler::kEuler, PredictionType::kVPrediction, 4.0);
  for (size_t i = 0; i < one->evaluations.size(); ++i) {
    EXPECT_LT(one->evaluations[i].classifier_coef, 0.0f);
    EXPECT_FLOAT_EQ(four->evaluations[i].classifier_coef, 4.0f * one->evaluations[i].classifier_coef);
  }
}

TEST(ClassifierGuidance, RefusesByName) {
  SamplerSpec spec;
  spec.sampler = Sampler::kDdim;
  spec.steps = 4;
  for (const double scale : {-1.0, 101.0, std::nan("")}) {
    spec.classifier_scale = scale;
    const absl::Status status = Compile(Config(PredictionType::kEpsilon), spec).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("classifier_scale")) << scale;
  }
  spec.classifier_scale = 1.0;
  spec.timestep_spacing = TimestepSpacing::kTrailing;
  NoiseScheduleConfig zero_snr = Config(PredictionType::kVPrediction);
  zero_snr.rescale_betas_zero_snr = true;
  EXPECT_THAT(std::string(Compile(zero_snr, spec).status().message()), HasSubstr("classifier_scale: the first step"));
}

}  // namespace
}  // namespace stepcast::sampling
