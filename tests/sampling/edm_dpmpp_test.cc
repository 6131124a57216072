#include <gtest/gtest.h>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

NoiseScheduleConfig Config(PredictionType prediction = PredictionType::kEpsilon) {
  NoiseScheduleConfig config;
  config.prediction_type = prediction;
  config.lower_order_final = false;
  config.final_sigmas_type = FinalSigmas::kSigmaMin;
  return config;
}

SamplerSpec Spec(int order = 2, int steps = 10) {
  SamplerSpec spec{.sampler = Sampler::kEdmDpmpp, .steps = steps};
  spec.options.solver_order = order;
  return spec;
}

// Upstream's loops start from the dummy sample itself, not scaled to the first level, and show it to the model
// unscaled.
Magnitude RunUnscaled(const NoiseScheduleConfig& config, const SamplerSpec& spec, int samples_at_once = 4) {
  SamplingProgram program = *Compile(config, spec).value();
  for (Evaluation& e : program.evaluations) e.input_scale = 1.0f;
  std::vector<float> latents = DummySample();
  if (spec.strength) latents = StartLatents(program.start, latents, DummyNoise());
  std::vector<float> result;
  NoiseGenerator noise(0);
  const auto chunk = static_cast<std::ptrdiff_t>(latents.size()) / 4 * samples_at_once;
  for (auto begin = latents.begin(); begin != latents.end(); begin += chunk) {
    const std::vector<float> done = RunProgram(program, {begin, begin + chunk}, DummyModel(), noise);
    result.insert(result.end(), done.begin(), done.end());
  }
  return MagnitudeOf(result);
}

TEST(EdmDpmppTest, PublishedFullLoops) {
  constexpr double kDecimals = 6e-5;
  EXPECT_NEAR(RunUnscaled(Config(), Spec()).mean, 0.0001, kDecimals);
  EXPECT_NEAR(RunUnscaled(Config(PredictionType::kVPrediction), Spec()).mean, 0.0092, kDecimals);
  NoiseScheduleConfig thresholding = Config();
  thresholding.thresholding = true;
  thresholding.dynamic_thresholding_ratio = 0.87;
  thresholding.sample_max_value = 0.5;
  EXPECT_NEAR(RunUnscaled(thresholding, Spec(), 1).mean, 0.0080, 2e-4);  // diffusers 0.40 itself gives 0.0081
  SamplerSpec from_step_5 = Spec();
  from_step_5.strength = 0.5;
  const Magnitude noised = RunUnscaled(Config(), from_step_5);
  EXPECT_NEAR(noised.sum, 8.1661, 6e-4);
  EXPECT_NEAR(noised.mean, 0.0106, kDecimals);
}

// A linear denoiser's ODE has a closed form: higher orders come closer to it.
TEST(EdmDpmppTest, HigherOrdersConverge) {
  NoiseScheduleConfig config = Config();
  config.sigma_data = 1.0;
  // The network's ideal output 0 makes x0 = latents / (sigma^2 + 1): data of variance 1. The ODE then carries latents
  // in proportion to sqrt(sigma^2 + 1).
  const Denoiser zero = [](absl::Span<const float> input, const Evaluation&) {
    return std::vector<float>(input.size(), 0.0f);
  };
  double previous = 1.0;
  for (const int order : {1, 2, 3}) {
    const SharedProgram program = Compile(config, Spec(order, 60)).value();
    NoiseGenerator noise(0);
    const float end = RunProgram(*program, {program->start.noise_coef}, zero, noise)[0];
    const double error = std::abs(end - 1.0);
    EXPECT_LT(error, 0.5 * previous) << order;
    previous = error;
  }
  EXPECT_LT(previous, 1e-3);
}

TEST(EdmDpmppTest, SdeFilesDrawAtEveryStep) {
  NoiseScheduleConfig config;
  config.algorithm_type = SolverAlgorithm::kSdeDpmSolverPlusPlus;
  for (const int order : {1, 2, 3}) {
    const SharedProgram program = Compile(config, Spec(order)).value();
    for (const Evaluation& e : program->evaluations) EXPECT_TRUE(e.draws_noise);
  }
}

}  // namespace
}  // namespace stepcast::sampling
