#include "sampling/compile/classifier_guidance.h"

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "sampling/schedule/noise_schedule.h"

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

double CoefficientOf(const Evaluation& evaluation, Slot from) {
  for (const Term& term : evaluation.transition) {
    if (term.to == Slot::kLatents && term.from == from) return term.coefficient;
  }
  return 0.0;
}

// Guidance of the noise shifts the mean of a DDPM step by beta / sqrt(alpha) * scale * gradient. In the lectures' form
// the variance of the step, (1 - alpha_bar') / (1 - alpha_bar) * beta, stands in place of beta / sqrt(alpha).
TEST(ClassifierGuidance, ShiftsTheMeanOfDdpmByMoreThanItsVariance) {
  constexpr double kScale = 3.0;
  for (const int steps : {20, 100, 1000}) {
    NoiseScheduleConfig config;
    config.clip_sample = false;
    SamplerSpec spec{.sampler = Sampler::kDdpm, .steps = steps};
    spec.classifier_scale = kScale;
    const SharedProgram program = Compile(config, spec).value();
    const NoiseSchedule schedule = NoiseSchedule::Create(ResolveSettings(config, {}).value()).value();
    const auto alpha_bar = [&](int i) {
      return double{schedule.alphas_cumprod()[static_cast<size_t>(program->evaluations[i].timestep)]};
    };
    for (int i = 0; i + 1 < steps; ++i) {
      const Evaluation& e = program->evaluations[i];
      const double a = alpha_bar(i), p = alpha_bar(i + 1);
      const double shift = CoefficientOf(e, Slot::kModelOutput) * e.classifier_coef;
      const double lectures = kScale * std::pow(CoefficientOf(e, Slot::kNoise), 2);
      const double factor = (1 - a) / ((1 - p) * std::sqrt(a / p));
      EXPECT_GT(factor, 1.0);
      // DDPM's beta is a difference of float32 numbers near 1; it cancels from the factor but for rounding.
      EXPECT_NEAR(shift / lectures, factor, 2e-3 * factor) << steps << " steps, at " << i;
    }
  }
}

// Two classes, normals around -1 and 1, whose denoisers and classifier are known: at scale 1 the guided denoiser of the
// mixture is that of the class (Bayes and Tweedie), at every step, however long.
TEST(ClassifierGuidance, AnExactClassifierTurnsTheMixtureIntoTheClass) {
  constexpr double kVariance = 0.3 * 0.3;
  const auto guess = [](double x, double mean, double a) {  // of the noise
    const double root = std::sqrt(a), gain = root * kVariance / (a * kVariance + 1 - a);
    return (x - root * (mean + gain * (x - root * mean))) / std::sqrt(1 - a);
  };
  NoiseScheduleConfig config;
  config.clip_sample = false;
  const NoiseSchedule schedule = NoiseSchedule::Create(ResolveSettings(config, {}).value()).value();
  SamplerSpec spec{.sampler = Sampler::kDdpm, .steps = 10};
  spec.classifier_scale = 1.0;
  const SharedProgram program = Compile(config, spec).value();
  const auto paint = [&](bool guided) {
    const Denoiser denoiser = [&](absl::Span<const float> input, const Evaluation& e) {
      const double a = schedule.alphas_cumprod()[static_cast<size_t>(e.timestep)], spread = a * kVariance + 1 - a;
      std::vector<float> outputs;
      for (const double x : input) {
        const double positive = 1 / (1 + std::exp(-2 * std::sqrt(a) * x / spread));
        const double mixture = positive * guess(x, 1, a) + (1 - positive) * guess(x, -1, a);
        const double gradient = (1 - positive) * 2 * std::sqrt(a) / spread;
        outputs.push_back(static_cast<float>(guided ? mixture + e.classifier_coef * gradient : guess(x, 1, a)));
      }
      return outputs;
    };
    std::vector<float> latents(200);
    NoiseGenerator noise(5);
    noise.Fill(absl::MakeSpan(latents));
    return RunProgram(*program, latents, denoiser, noise);
  };
  const std::vector<float> guided = paint(true), of_class = paint(false);
  for (size_t i = 0; i < guided.size(); ++i) EXPECT_NEAR(guided[i], of_class[i], 1e-4);  // float32 over ten steps
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
