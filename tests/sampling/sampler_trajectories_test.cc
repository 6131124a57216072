// Whole trajectories of diffusers' further schedulers, their options and explicit lists (fixtures/samplers.txt), with
// the made-up denoiser of fixtures/make_sampler_fixtures.py.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/str_split.h"
#include "sampling/compile.h"
#include "sampling/reference_interpreter.h"
#include "tests/sampling/fixture_reader.h"

namespace stepcast::sampling {
namespace {

struct Trajectory {
  std::string name;
  NoiseScheduleConfig config;
  SamplerSpec spec;
  int start = -1;
};

using Setter = std::function<void(const std::string&, Trajectory&)>;

std::vector<double> List(const std::string& text) {
  std::vector<double> list;
  for (const auto word : absl::StrSplit(text, ',')) list.push_back(std::stod(std::string(word)));
  return list;
}

template <typename T>
Setter Choice(std::optional<T> NoiseScheduleConfig::* field, std::map<std::string, T> choices) {
  return [=](const std::string& text, Trajectory& t) { t.config.*field = choices.at(text); };
}

Setter Flag(std::optional<bool> NoiseScheduleConfig::* field) {
  return Choice<bool>(field, {{"True", true}, {"False", false}});
}

Setter Number(std::optional<double> NoiseScheduleConfig::* field) {
  return [=](const std::string& text, Trajectory& t) { t.config.*field = std::stod(text); };
}

std::map<std::string, Setter> ConfigSetters() {
  using C = NoiseScheduleConfig;
  return {
      {"beta_start", Number(&C::beta_start)},
      {"beta_end", Number(&C::beta_end)},
      {"beta_schedule", Choice<BetaSchedule>(&C::beta_schedule, {{"scaled_linear", BetaSchedule::kScaledLinear}})},
      {"prediction_type", Choice<PredictionType>(&C::prediction_type, {{"epsilon", PredictionType::kEpsilon},
                                                                       {"v_prediction", PredictionType::kVPrediction},
                                                                       {"sample", PredictionType::kSample}})},
      {"timestep_spacing", Choice<TimestepSpacing>(&C::timestep_spacing, {{"linspace", TimestepSpacing::kLinspace},
                                                                          {"leading", TimestepSpacing::kLeading},
                                                                          {"trailing", TimestepSpacing::kTrailing}})},
      {"variance_type", Choice<VarianceType>(&C::variance_type, {{"learned", VarianceType::kLearned},
                                                                 {"learned_range", VarianceType::kLearnedRange}})},
      {"final_sigmas_type", Choice<FinalSigmas>(&C::final_sigmas_type, {{"sigma_min", FinalSigmas::kSigmaMin}})},
      {"interpolation_type", Choice<bool>(&C::log_linear_interpolation, {{"log_linear", true}})},
      {"timestep_type", Choice<bool>(&C::continuous_timesteps, {{"continuous", true}})},
      {"steps_offset", [](const std::string& text, Trajectory& t) { t.config.steps_offset = std::stoi(text); }},
      {"use_karras_sigmas", Flag(&C::use_karras_sigmas)},
      {"use_exponential_sigmas", Flag(&C::use_exponential_sigmas)},
      {"use_beta_sigmas", Flag(&C::use_beta_sigmas)},
      {"clip_sample", Flag(&C::clip_sample)},
      {"clip_sample_range", Number(&C::clip_sample_range)},
      {"skip_prk_steps", Flag(&C::skip_prk_steps)},
      {"set_alpha_to_one", Flag(&C::set_alpha_to_one)},
      {"rescale_betas_zero_snr", Flag(&C::rescale_betas_zero_snr)},
      {"timestep_scaling", Number(&C::timestep_scaling)},
      {"sigma_max", Number(&C::sigma_max)},
      {"snr", [](const std::string& text, Trajectory& t) { t.config.score_sde.snr = std::stod(text); }},
      {"sampling_eps",
       [](const std::string& text, Trajectory& t) { t.config.score_sde.sampling_eps = std::stod(text); }},
      {"correct_steps",
       [](const std::string& text, Trajectory& t) { t.config.score_sde.correct_steps = std::stoi(text); }},
  };
}

std::map<std::string, Setter> Setters() {
  std::map<std::string, Setter> setters = ConfigSetters();
  const std::map<std::string, Setter> of_request = {
      {"steps", [](const std::string& text, Trajectory& t) { t.spec.steps = std::stoi(text); }},
      {"eta", [](const std::string& text, Trajectory& t) { t.spec.eta = std::stod(text); }},
      {"start", [](const std::string& text, Trajectory& t) { t.start = std::stoi(text); }},
      {"order", [](const std::string& text, Trajectory& t) { t.spec.options.solver_order = std::stoi(text); }},
      {"s_churn", [](const std::string& text, Trajectory& t) { t.spec.options.churn = std::stod(text); }},
      {"s_noise", [](const std::string& text, Trajectory& t) { t.spec.options.s_noise = std::stod(text); }},
      {"original_inference_steps",
       [](const std::string& text, Trajectory& t) { t.spec.options.original_inference_steps = std::stoi(text); }},
      {"timesteps", [](const std::string& text, Trajectory& t) { t.spec.timesteps = List(text); }},
      {"sigmas", [](const std::string& text, Trajectory& t) { t.spec.sigmas = List(text); }},
  };
  setters.insert(of_request.begin(), of_request.end());
  return setters;
}

Trajectory Parse(const std::vector<std::string>& words) {
  static const auto& setters = *new std::map<std::string, Setter>(Setters());
  Trajectory result;
  result.spec.sampler = SamplerFromName(words[1]).value();
  for (size_t i = 1; i < words.size(); ++i) {
    result.name += words[i] + " ";
    const size_t equals = words[i].find('=');
    if (equals != std::string::npos) setters.at(words[i].substr(0, equals))(words[i].substr(equals + 1), result);
  }
  if (result.spec.sampler == Sampler::kSdeVe) result.config.scheduler_class = "ScoreSdeVeScheduler";
  if (result.start >= 0) {
    result.spec.strength = static_cast<double>(result.spec.steps - result.start) / result.spec.steps;
  }
  return result;
}

std::vector<float> Denoise(absl::Span<const float> input, const Evaluation& evaluation) {
  const bool variance = evaluation.special == Special::kVarianceNoise || evaluation.special == Special::kVarianceRoot;
  std::vector<float> output(input.size() * (variance ? 2 : 1));
  for (size_t i = 0; i < output.size(); ++i) {
    output[i] = 0.5f * std::cos(static_cast<float>(i) * 0.7f + evaluation.timestep * 0.01f);
    output[i] += i < input.size() ? 0.25f * input[i] : 0.75f;
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

TEST(SamplerTrajectoriesTest, EqualThoseOfDiffusers) {
  const std::vector<std::vector<std::string>> lines = ReadFixture("samplers.txt");
  ASSERT_EQ(lines.size() % 3, 0u);
  ASSERT_GE(lines.size() / 3, 130u);
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
      EXPECT_NEAR((*program)->evaluations[i].timestep, timesteps[i], 1e-6 * timesteps[i] + 2e-4) << "evaluation " << i;
    }

    const std::vector<float> got = Paint(**program, 500 + number, expected.size());
    double scale = 1.0;
    for (const double value : expected) scale = std::max(scale, std::abs(value));
    double difference = 0.0;
    for (size_t i = 0; i < got.size(); ++i) difference = std::max(difference, std::abs(got[i] - expected[i]));
    worst = std::max(worst, difference / scale);
    // float32 against float32 in another order of operations.
    EXPECT_LT(difference / scale, 2e-5);
  }
  RecordProperty("worst_relative_difference", std::to_string(worst));
}

}  // namespace
}  // namespace stepcast::sampling
