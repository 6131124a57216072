// Every scheduler class of diffusers made from the files of others, as its from_config makes it: which keys carry over,
// and what the class assumes for the rest (fixtures/from_config.txt).

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sampling/compile/compile.h"
#include "sampling/samplers/registry.h"
#include "tests/sampling/config_words.h"
#include "tests/sampling/fixture_reader.h"

namespace stepcast::sampling {
namespace {

using Keys = std::map<std::string, std::string>;

Keys KeysOf(const std::vector<std::string>& words) {
  Keys keys;
  for (size_t i = 2; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    keys[words[i].substr(0, equals)] = words[i].substr(equals + 1);
  }
  return keys;
}

NoiseScheduleConfig ConfigOf(const Keys& keys, const std::string& scheduler_class = "") {
  NoiseScheduleConfig config;
  config.scheduler_class = scheduler_class;
  for (const auto& [key, value] : keys) SetConfigKey(key, value, config);
  return config;
}

struct Made {
  std::string from;
  Keys file;
  std::string to;
  Keys keys;  // all that the class knows
};

struct Fixture {
  std::map<std::string, Keys> defaults;  // by class
  std::vector<Made> made;
};

const Fixture& Reference() {
  static const Fixture& fixture = *[] {
    auto* result = new Fixture;
    Made made;
    for (const std::vector<std::string>& words : ReadFixture("from_config.txt")) {
      if (words[0] == "class") result->defaults[words[1]] = KeysOf(words);
      if (words[0] == "from") made = {words[1], KeysOf(words), "", {}};
      if (words[0] != "to") continue;
      made.to = words[1];
      made.keys = KeysOf(words);
      for (const auto& [key, value] : result->defaults.at(words[1])) made.keys.emplace(key, value);
      result->made.push_back(made);
    }
    return result;
  }();
  return fixture;
}

// Runs on models of other classes too, on their noise levels; diffusers' class cannot.
bool GoesBeyondItsClass(Sampler sampler) { return sampler == Sampler::kSdeVe; }

std::vector<const SamplerDefinition*> SamplersOf(const std::string& scheduler_class) {
  std::vector<const SamplerDefinition*> samplers;
  for (const SamplerDefinition* definition : AllSamplers()) {
    if (GoesBeyondItsClass(definition->sampler)) continue;
    if (definition->defaults.scheduler_class == scheduler_class) samplers.push_back(definition);
  }
  return samplers;
}

TEST(FromConfigTest, EverySamplerStandsForAClass) {
  for (const SamplerDefinition* definition : AllSamplers()) {
    // Not of diffusers: ScoreSdeVpScheduler has a continuous time and linear betas of its own.
    if (definition->sampler == Sampler::kAnnealedLangevin || definition->sampler == Sampler::kSdeVp) continue;
    EXPECT_TRUE(Reference().defaults.contains(std::string(definition->defaults.scheduler_class)))
        << SamplerName(definition->sampler);
  }
}

// The file of one class gives the same program as a file that holds all keys of the scheduler that from_config makes.
TEST(FromConfigTest, TheFileOfAnotherClassMeansWhatFromConfigMakesOfIt) {
  ASSERT_GE(Reference().made.size(), 100u);
  for (const Made& made : Reference().made) {
    for (const SamplerDefinition* definition : SamplersOf(made.to)) {
      SCOPED_TRACE(made.from + " to " + std::string(SamplerName(definition->sampler)));
      const SamplerSpec spec{.sampler = definition->sampler, .steps = 10};
      NoiseScheduleConfig file = ConfigOf(made.file, made.from);
      NoiseScheduleConfig whole = ConfigOf(made.keys, made.from);
      // Not in the fixture: classes rename what they do not know. And in diffusers the levels' ends carry over even to
      // classes without these keys.
      whole.algorithm_type = file.algorithm_type;
      whole.solver_type = file.solver_type;
      if (!whole.sigma_min) whole.sigma_min = file.sigma_min;
      if (!whole.sigma_max) whole.sigma_max = file.sigma_max;
      const absl::StatusOr<SharedProgram> got = Compile(file, spec);
      const absl::StatusOr<SharedProgram> expected = Compile(whole, spec);
      ASSERT_EQ(got.status(), expected.status());
      if (got.ok()) {
        EXPECT_EQ(**got, **expected);
      }
    }
  }
}

// A value that no class has as its default.
const Keys& Unusual() {
  static const Keys& keys = *new Keys{{"beta_start", "0.0033"},
                                      {"beta_end", "0.0144"},
                                      {"beta_schedule", "sigmoid"},
                                      {"clip_sample", "True"},
                                      {"clip_sample_range", "0.5"},
                                      {"thresholding", "True"},
                                      {"set_alpha_to_one", "False"},
                                      {"timestep_spacing", "trailing"},
                                      {"steps_offset", "3"},
                                      {"rescale_betas_zero_snr", "True"},
                                      {"use_karras_sigmas", "True"},
                                      {"use_exponential_sigmas", "True"},
                                      {"use_beta_sigmas", "True"},
                                      {"use_lu_lambdas", "True"},
                                      {"final_sigmas_type", "sigma_min"},
                                      {"solver_order", "3"},
                                      {"lower_order_final", "False"},
                                      {"euler_at_final", "True"},
                                      {"predict_x0", "False"},
                                      {"disable_corrector", "1,2"},
                                      {"lambda_min_clipped", "-2"},
                                      {"skip_prk_steps", "True"},
                                      {"original_inference_steps", "25"},
                                      {"timestep_scaling", "3"},
                                      {"variance_type", "fixed_large"},
                                      {"sigma_data", "0.7"},
                                      {"rho", "5"},
                                      {"sigma_schedule", "exponential"}};
  return keys;
}

TEST(FromConfigTest, KeysThatAClassLacksChangeNothing) {
  for (const SamplerDefinition* definition : AllSamplers()) {
    const auto known = Reference().defaults.find(std::string(definition->defaults.scheduler_class));
    if (known == Reference().defaults.end() || GoesBeyondItsClass(definition->sampler)) continue;
    const SamplerSpec spec{.sampler = definition->sampler, .steps = 10};
    const SharedProgram plain = Compile({}, spec).value();
    for (const auto& [key, value] : Unusual()) {
      if (known->second.contains(key)) continue;
      const absl::StatusOr<SharedProgram> changed = Compile(ConfigOf({{key, value}}), spec);
      ASSERT_TRUE(changed.ok()) << SamplerName(definition->sampler) << " " << key << ": " << changed.status();
      EXPECT_EQ(**changed, *plain) << SamplerName(definition->sampler) << " " << key;
    }
  }
}

// And those that it has do: each of these keys changes the program of the class that names it.
TEST(FromConfigTest, KeysThatAClassHasCount) {
  struct Row {
    Sampler sampler;
    std::vector<const char*> keys;
  };
  const std::vector<const char*> betas = {"beta_start", "beta_end", "beta_schedule"};
  const std::vector<const char*> kin = {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"};
  const Row rows[] = {
      {Sampler::kDpmpp2m,
       {"thresholding", "timestep_spacing", "rescale_betas_zero_snr", "use_lu_lambdas", "solver_order",
        "lambda_min_clipped"}},
      {Sampler::kDpmppSinglestep, {"thresholding", "solver_order", "lambda_min_clipped"}},
      {Sampler::kUnipc,
       {"thresholding", "timestep_spacing", "rescale_betas_zero_snr", "solver_order", "disable_corrector"}},
      {Sampler::kDeis, {"thresholding", "timestep_spacing", "solver_order", "lower_order_final"}},
      {Sampler::kEdmEuler, {"sigma_data", "rho", "sigma_schedule", "final_sigmas_type"}},
      {Sampler::kEdmDpmpp,
       {"sigma_data", "rho", "sigma_schedule", "final_sigmas_type", "solver_order", "thresholding"}},
  };
  for (const Row& row : rows) {
    const SamplerSpec spec{.sampler = row.sampler, .steps = 10};
    const SharedProgram plain = Compile({}, spec).value();
    std::vector<const char*> keys = row.keys;
    if (row.sampler != Sampler::kEdmEuler && row.sampler != Sampler::kEdmDpmpp) {
      keys.insert(keys.end(), betas.begin(), betas.end());
      keys.insert(keys.end(), kin.begin(), kin.end());
    }
    for (const std::string key : keys) {
      const std::string name(FindSampler(row.sampler)->defaults.scheduler_class);
      EXPECT_TRUE(Reference().defaults.at(name).contains(key)) << name << " " << key;
      const absl::StatusOr<SharedProgram> changed = Compile(ConfigOf({{key, Unusual().at(key)}}), spec);
      ASSERT_TRUE(changed.ok()) << key << ": " << changed.status();
      EXPECT_NE(**changed, *plain) << SamplerName(row.sampler) << " " << key;
    }
  }
}

// What a pipeline sets in its own scheduler where the file has no key stays there.
TEST(FromConfigTest, PipelineOverridesStayWithTheirClass) {
  NoiseScheduleConfig config;
  config.scheduler_class = "DDIMScheduler";
  config.own_class = {1, false, std::nullopt};
  const auto settings = [&](Sampler sampler) {
    return ResolveSettings(config, FindSampler(sampler)->defaults).value();
  };
  EXPECT_EQ(settings(Sampler::kDdim).steps_offset, 1);
  EXPECT_FALSE(settings(Sampler::kDdim).clip_sample);
  EXPECT_EQ(settings(Sampler::kEuler).steps_offset, 0);
  EXPECT_TRUE(settings(Sampler::kDdpm).clip_sample);
  config.steps_offset = 2;  // the file speaks for all classes
  EXPECT_EQ(settings(Sampler::kDdim).steps_offset, 2);
  EXPECT_EQ(settings(Sampler::kEuler).steps_offset, 2);
  config.scheduler_class = "";  // no class: none of ours is its own
  config.steps_offset.reset();
  EXPECT_EQ(settings(Sampler::kDdim).steps_offset, 0);
}

}  // namespace
}  // namespace stepcast::sampling
