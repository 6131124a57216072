// Whole trajectories of diffusers' schedulers over spacings, prediction types, sigma schedules, variances, solver
// orders, explicit lists and image-to-image starts (fixtures/schedulers.txt, solvers.txt and samplers.txt), with the
// made-up denoiser of fixtures/make_fixtures.py.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/str_split.h"
#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "tests/sampling/config_words.h"
#include "tests/sampling/fixture_reader.h"

namespace stepcast::sampling {
namespace {

struct Trajectory {
  std::string name;
  NoiseScheduleConfig config;
  SamplerSpec spec;
};

std::vector<double> List(const std::string& text) {
  std::vector<double> list;
  for (const auto word : absl::StrSplit(text, ',')) list.push_back(std::stod(std::string(word)));
  return list;
}

// What a request, not a scheduler_config.json, says.
void SetSpecKey(const std::string& key, const std::string& value, SamplerSpec& spec) {
  using Setter = std::function<void(const std::string&, SamplerSpec&)>;
  static const auto& setters = *new std::map<std::string, Setter>{
      {"steps", [](const std::string& text, SamplerSpec& s) { s.steps = std::stoi(text); }},
      {"eta", [](const std::string& text, SamplerSpec& s) { s.eta = std::stod(text); }},
      {"order", [](const std::string& text, SamplerSpec& s) { s.options.solver_order = std::stoi(text); }},
      {"churn", [](const std::string& text, SamplerSpec& s) { s.options.churn = std::stod(text); }},
      {"s_churn", [](const std::string& text, SamplerSpec& s) { s.options.churn = std::stod(text); }},
      {"s_noise", [](const std::string& text, SamplerSpec& s) { s.options.s_noise = std::stod(text); }},
      {"original_inference_steps",
       [](const std::string& text, SamplerSpec& s) { s.options.original_inference_steps = std::stoi(text); }},
      {"timesteps", [](const std::string& text, SamplerSpec& s) { s.timesteps = List(text); }},
      {"sigmas", [](const std::string& text, SamplerSpec& s) { s.sigmas = List(text); }},
  };
  if (const auto found = setters.find(key); found != setters.end()) found->second(value, spec);
}

Trajectory Parse(const std::vector<std::string>& words) {
  Trajectory result;
  result.spec.sampler = SamplerFromName(words[1]).value();
  if (result.spec.sampler == Sampler::kSdeVe) result.config.scheduler_class = "ScoreSdeVeScheduler";
  int start = -1;
  for (size_t i = 1; i < words.size(); ++i) {
    result.name += words[i] + " ";
    const size_t equals = words[i].find('=');
    if (equals == std::string::npos) continue;
    const std::string key = words[i].substr(0, equals);
    const std::string value = words[i].substr(equals + 1);
    if (key == "start") start = std::stoi(value);
    SetSpecKey(key, value, result.spec);
    SetConfigKey(key, value, result.config);
  }
  if (start >= 0) result.spec.strength = static_cast<double>(result.spec.steps - start) / result.spec.steps;
  return result;
}

// With a learned variance the output has a second half.
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

// Case i of a fixture starts from noise of seed `first_seed` + i.
void CheckTrajectories(const std::string& fixture, size_t at_least, uint64_t first_seed) {
  const std::vector<std::vector<std::string>> lines = ReadFixture(fixture);
  ASSERT_EQ(lines.size() % 3, 0u);
  ASSERT_GE(lines.size() / 3, at_least);
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

    const std::vector<float> got = Paint(**program, first_seed + number, expected.size());
    double scale = 1.0;
    for (const double value : expected) scale = std::max(scale, std::abs(value));
    double difference = 0.0;
    for (size_t i = 0; i < got.size(); ++i) difference = std::max(difference, std::abs(got[i] - expected[i]));
    worst = std::max(worst, difference / scale);
    // float32 against float32 in another order of operations, over up to 96 steps; with zero terminal SNR from
    // latents of size 4096.
    EXPECT_LT(difference / scale, 2e-5);
  }
  testing::Test::RecordProperty("worst_relative_difference", std::to_string(worst));
}

TEST(DiffusersParityTest, WholeTrajectories) { CheckTrajectories("schedulers.txt", 100, 100); }

TEST(DiffusersParityTest, WholeTrajectoriesOfSolvers) { CheckTrajectories("solvers.txt", 200, 100); }

TEST(DiffusersParityTest, WholeTrajectoriesOfSamplersWithTheirOptions) { CheckTrajectories("samplers.txt", 130, 500); }

}  // namespace
}  // namespace stepcast::sampling
