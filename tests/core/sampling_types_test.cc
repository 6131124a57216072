#include "core/sampling_types.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "absl/hash/hash.h"

namespace stepcast {
namespace {

TEST(SamplerNameTest, NamesAreInverse) {
  for (int i = 0; i <= static_cast<int>(Sampler::kAnnealedLangevin); ++i) {
    const auto sampler = static_cast<Sampler>(i);
    EXPECT_EQ(SamplerFromName(SamplerName(sampler)), sampler);
  }
}

TEST(SamplerNameTest, SpotChecks) {
  EXPECT_EQ(SamplerName(Sampler::kDdpm), "DDPM");
  EXPECT_EQ(SamplerName(Sampler::kDpmpp2m), "DPMPP_2M");
  EXPECT_EQ(SamplerName(Sampler::kAnnealedLangevin), "ANNEALED_LANGEVIN");
}

TEST(SamplerNameTest, UnknownNames) {
  for (const char* name : {"", "ddim", "DDIM ", "EULER_A", "SAMPLER_DDIM"}) {
    EXPECT_EQ(SamplerFromName(name), std::nullopt) << name;
  }
}

TEST(EnumNamesTest, SpotChecks) {
  EXPECT_EQ(SigmaScheduleName(SigmaSchedule::kDefault), "DEFAULT");
  EXPECT_EQ(SigmaScheduleName(SigmaSchedule::kLu), "LU");
  EXPECT_EQ(TimestepSpacingName(TimestepSpacing::kLinspace), "LINSPACE");
  EXPECT_EQ(TimestepSpacingName(TimestepSpacing::kTrailing), "TRAILING");
  EXPECT_EQ(PredictionTypeName(PredictionType::kVPrediction), "v_prediction");
}

// Every field decides equality and, here, the hash: a cache must never mistake one schedule for another.
TEST(NoiseScheduleConfigTest, EveryFieldCounts) {
  using Config = NoiseScheduleConfig;
  const std::vector<std::function<void(Config&)>> changes = {
      [](Config& c) { c.scheduler_class = "DDIMScheduler"; },
      [](Config& c) { c.num_train_timesteps = 1000; },
      [](Config& c) { c.beta_start = 0.1; },
      [](Config& c) { c.beta_end = 0.1; },
      [](Config& c) { c.beta_schedule = BetaSchedule::kLinear; },
      [](Config& c) { c.trained_betas = {0.1}; },
      [](Config& c) { c.prediction_type = PredictionType::kEpsilon; },
      [](Config& c) { c.timestep_spacing = TimestepSpacing::kLinspace; },
      [](Config& c) { c.steps_offset = 0; },
      [](Config& c) { c.clip_sample = false; },
      [](Config& c) { c.clip_sample_range = 1.0; },
      [](Config& c) { c.thresholding = false; },
      [](Config& c) { c.dynamic_thresholding_ratio = 0.9; },
      [](Config& c) { c.sample_max_value = 1.0; },
      [](Config& c) { c.set_alpha_to_one = false; },
      [](Config& c) { c.rescale_betas_zero_snr = false; },
      [](Config& c) { c.variance_type = VarianceType::kFixedSmall; },
      [](Config& c) { c.use_karras_sigmas = false; },
      [](Config& c) { c.use_exponential_sigmas = false; },
      [](Config& c) { c.use_beta_sigmas = false; },
      [](Config& c) { c.use_lu_lambdas = false; },
      [](Config& c) { c.final_sigmas_type = FinalSigmas::kZero; },
      [](Config& c) { c.solver_order = 2; },
      [](Config& c) { c.lower_order_final = false; },
      [](Config& c) { c.euler_at_final = false; },
      [](Config& c) { c.skip_prk_steps = false; },
      [](Config& c) { c.original_inference_steps = 50; },
      [](Config& c) { c.timestep_scaling = 10.0; },
      [](Config& c) { c.sigma_min = 0.1; },
      [](Config& c) { c.sigma_max = 1.0; },
      [](Config& c) { c.sigma_data = 0.5; },
  };
  const Config plain;
  for (size_t i = 0; i < changes.size(); ++i) {
    Config changed;
    changes[i](changed);
    EXPECT_NE(changed, plain) << i;
    EXPECT_NE(absl::HashOf(changed), absl::HashOf(plain)) << i;
    Config same;
    changes[i](same);
    EXPECT_EQ(changed, same) << i;
    EXPECT_EQ(absl::HashOf(changed), absl::HashOf(same)) << i;
  }
}

}  // namespace
}  // namespace stepcast
