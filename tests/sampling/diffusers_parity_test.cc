// Whole trajectories of diffusers' schedulers over spacings, prediction types, sigma schedules, variances and
// image-to-image starts (fixtures/schedulers.txt), with the made-up denoiser of fixtures/make_fixtures.py.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "sampling/compile.h"
#include "sampling/reference_interpreter.h"
#include "tests/sampling/fixture_reader.h"

namespace stepcast::sampling {
namespace {

using Options = std::map<std::string, std::string>;

bool IsTrue(const std::string& text) { return text == "True"; }

template <typename T>
T Choose(const std::map<std::string, T>& choices, const std::string& text) {
  return choices.at(text);
}

void SetChoices(const std::string& key, const std::string& value, NoiseScheduleConfig& config) {
  if (key == "beta_schedule") {
    config.beta_schedule = Choose<BetaSchedule>({{"linear", BetaSchedule::kLinear},
                                                 {"scaled_linear", BetaSchedule::kScaledLinear},
                                                 {"squaredcos_cap_v2", BetaSchedule::kSquaredCosCapV2}},
                                                value);
  }
  if (key == "prediction_type") {
    config.prediction_type = Choose<PredictionType>({{"epsilon", PredictionType::kEpsilon},
                                                     {"v_prediction", PredictionType::kVPrediction},
                                                     {"sample", PredictionType::kSample}},
                                                    value);
  }
  if (key == "timestep_spacing") {
    config.timestep_spacing = Choose<TimestepSpacing>({{"linspace", TimestepSpacing::kLinspace},
                                                       {"leading", TimestepSpacing::kLeading},
                                                       {"trailing", TimestepSpacing::kTrailing}},
                                                      value);
  }
  if (key == "variance_type") {
    config.variance_type = value == "fixed_large" ? VarianceType::kFixedLarge : VarianceType::kFixedSmallLog;
  }
  if (key == "final_sigmas_type") config.final_sigmas_type = FinalSigmas::kSigmaMin;
}

void SetNumbers(const std::string& key, const std::string& value, NoiseScheduleConfig& config) {
  if (key == "beta_start") config.beta_start = std::stod(value);
  if (key == "beta_end") config.beta_end = std::stod(value);
  if (key == "steps_offset") config.steps_offset = std::stoi(value);
  if (key == "clip_sample_range") config.clip_sample_range = std::stod(value);
  if (key == "sample_max_value") config.sample_max_value = std::stod(value);
  if (key == "dynamic_thresholding_ratio") config.dynamic_thresholding_ratio = std::stod(value);
  if (key == "sigma_min") config.sigma_min = std::stod(value);
  if (key == "sigma_max") config.sigma_max = std::stod(value);
}

void SetFlags(const std::string& key, const std::string& value, NoiseScheduleConfig& config) {
  if (key == "clip_sample") config.clip_sample = IsTrue(value);
  if (key == "thresholding") config.thresholding = IsTrue(value);
  if (key == "set_alpha_to_one") config.set_alpha_to_one = IsTrue(value);
  if (key == "rescale_betas_zero_snr") config.rescale_betas_zero_snr = IsTrue(value);
  if (key == "use_karras_sigmas") config.use_karras_sigmas = IsTrue(value);
  if (key == "use_exponential_sigmas") config.use_exponential_sigmas = IsTrue(value);
  if (key == "use_beta_sigmas") config.use_beta_sigmas = IsTrue(value);
  if (key == "use_lu_lambdas") config.use_lu_lambdas = IsTrue(value);
  if (key == "lower_order_final") config.lower_order_final = IsTrue(value);
  if (key == "euler_at_final") config.euler_at_final = IsTrue(value);
}

struct Trajectory {
  std::string name;
  NoiseScheduleConfig config;
  SamplerSpec spec;
};

Trajectory Parse(const std::vector<std::string>& words) {
  Trajectory result;
  result.spec.sampler = SamplerFromName(words[1]).value();
  int start = -1;
  for (size_t i = 1; i < words.size(); ++i) {
    result.name += words[i] + " ";
    const size_t equals = words[i].find('=');
    if (equals == std::string::npos) continue;
    const std::string key = words[i].substr(0, equals);
    const std::string value = words[i].substr(equals + 1);
    if (key == "steps") result.spec.steps = std::stoi(value);
    if (key == "eta") result.spec.eta = std::stod(value);
    if (key == "start") start = std::stoi(value);
    SetChoices(key, value, result.config);
    SetNumbers(key, value, result.config);
    SetFlags(key, value, result.config);
  }
  if (start >= 0) result.spec.strength = static_cast<double>(result.spec.steps - start) / result.spec.steps;
  return result;
}

std::vector<float> Denoise(absl::Span<const float> input, const Evaluation& evaluation) {
  std::vector<float> output(input.size());
  for (size_t i = 0; i < input.size(); ++i) {
    output[i] = 0.25f * input[i] + 0.5f * std::cos(static_cast<float>(i) * 0.7f + evaluation.timestep * 0.01f);
  }
  return output;
}

std::vector<float> Paint(const SamplingProgram& program, uint64_t seed, size_t count) {
  NoiseGenerator generator(seed);
  std::vector<float> noise(count);
  generator.Fill(absl::MakeSpan(noise));
  std::vector<float> image(count);
  for (size_t i = 0; i < count; ++i) image[i] = -1.0f + 2.0f * static_cast<float>(i) / static_cast<float>(count - 1);
  return RunProgram(program, StartLatents(program.start, image, noise), Denoise, generator);
}

TEST(DiffusersParityTest, WholeTrajectories) {
  const std::vector<std::vector<std::string>> lines = ReadFixture("schedulers.txt");
  ASSERT_EQ(lines.size() % 3, 0u);
  ASSERT_GE(lines.size() / 3, 100u);
  double worst = 0.0;
  for (size_t number = 0; number < lines.size() / 3; ++number) {
    const Trajectory trajectory = Parse(lines[3 * number]);
    SCOPED_TRACE(trajectory.name);
    const std::vector<double> timesteps = Numbers(lines[3 * number + 1], 1);
    const std::vector<double> expected = Numbers(lines[3 * number + 2], 1);
    const absl::StatusOr<SharedProgram> program = Compile(trajectory.config, trajectory.spec);
    ASSERT_TRUE(program.ok()) << program.status();

    ASSERT_EQ((*program)->evaluations.size(), timesteps.size());
    for (size_t i = 0; i < timesteps.size(); ++i) {
      // Fractional timesteps come from float32 logarithms, whose last bits differ between libraries.
      ASSERT_NEAR((*program)->evaluations[i].timestep, timesteps[i], 2e-4) << "step " << i;
    }

    const std::vector<float> got = Paint(**program, 100 + number, expected.size());
    double scale = 1.0;
    for (const double value : expected) scale = std::max(scale, std::abs(value));
    double difference = 0.0;
    for (size_t i = 0; i < got.size(); ++i) difference = std::max(difference, std::abs(got[i] - expected[i]));
    worst = std::max(worst, difference / scale);
    // float32 against float32 in another order of operations, over up to 96 steps; with zero terminal SNR from
    // latents of size 4096.
    EXPECT_LT(difference / scale, 2e-5);
  }
  RecordProperty("worst_relative_difference", std::to_string(worst));
}

}  // namespace
}  // namespace stepcast::sampling
