#include "sampling/schedule/class_defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

using testing::HasSubstr;

TEST(ClassDefaultsTest, MissingKeysTakeTheDefaultsOfTheClass) {
  struct Row {
    Sampler sampler;
    TimestepSpacing spacing;
    bool clips;
  };
  const Row rows[] = {{Sampler::kDdpm, TimestepSpacing::kLeading, true},
                      {Sampler::kDdim, TimestepSpacing::kLeading, true},
                      {Sampler::kEuler, TimestepSpacing::kLinspace, false},
                      {Sampler::kEulerAncestral, TimestepSpacing::kLinspace, false},
                      {Sampler::kDpmpp2m, TimestepSpacing::kLinspace, false}};
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(SamplerName(row.sampler)));
    const ScheduleSettings settings = ResolveSettings({}, FindSampler(row.sampler)->defaults).value();
    EXPECT_EQ(settings.timestep_spacing, row.spacing);
    EXPECT_EQ(settings.clip_sample, row.clips);
    EXPECT_EQ(settings.num_train_timesteps, 1000);
    EXPECT_EQ(settings.beta_start, 1e-4);
    EXPECT_EQ(settings.beta_end, 0.02);
    EXPECT_EQ(settings.beta_schedule, BetaSchedule::kLinear);
    EXPECT_EQ(settings.prediction_type, PredictionType::kEpsilon);
    EXPECT_EQ(settings.steps_offset, 0);
    EXPECT_TRUE(settings.set_alpha_to_one);
    EXPECT_TRUE(settings.lower_order_final);
    EXPECT_FALSE(settings.euler_at_final);
    EXPECT_EQ(settings.final_sigmas_type, FinalSigmas::kZero);
    EXPECT_EQ(settings.variance_type, VarianceType::kFixedSmall);
    EXPECT_EQ(settings.zero_snr, ZeroSnr::kUnknown);
  }
}

TEST(ClassDefaultsTest, KeysOfTheFileCarryOver) {
  NoiseScheduleConfig config;
  config.beta_start = 0.00085;
  config.beta_schedule = BetaSchedule::kScaledLinear;
  config.timestep_spacing = TimestepSpacing::kTrailing;
  config.steps_offset = 1;
  config.clip_sample = false;
  config.rescale_betas_zero_snr = true;
  const ScheduleSettings ddim = ResolveSettings(config, FindSampler(Sampler::kDdim)->defaults).value();
  EXPECT_EQ(ddim.beta_start, 0.00085);
  EXPECT_EQ(ddim.beta_schedule, BetaSchedule::kScaledLinear);
  EXPECT_EQ(ddim.timestep_spacing, TimestepSpacing::kTrailing);
  EXPECT_EQ(ddim.steps_offset, 1);
  EXPECT_FALSE(ddim.clip_sample);
  EXPECT_EQ(ddim.zero_snr, ZeroSnr::kExact);
  EXPECT_EQ(ResolveSettings(config, FindSampler(Sampler::kEuler)->defaults)->zero_snr, ZeroSnr::kFinite);
}

TEST(ClassDefaultsTest, SigmaScheduleFlags) {
  NoiseScheduleConfig config;
  const std::vector<SigmaSchedule> all = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                                          SigmaSchedule::kBeta, SigmaSchedule::kLu};
  EXPECT_EQ(ConfiguredSigmaSchedule(config, all), SigmaSchedule::kDefault);
  config.use_karras_sigmas = false;
  config.use_lu_lambdas = true;
  EXPECT_EQ(ConfiguredSigmaSchedule(config, all), SigmaSchedule::kLu);
  config.use_karras_sigmas = true;
  EXPECT_EQ(ConfiguredSigmaSchedule(config, all), SigmaSchedule::kKarras);
  config = {};
  config.use_beta_sigmas = true;
  EXPECT_EQ(ConfiguredSigmaSchedule(config, all), SigmaSchedule::kBeta);
  config.use_exponential_sigmas = true;
  EXPECT_EQ(ConfiguredSigmaSchedule(config, all), SigmaSchedule::kExponential);
  // A class that lacks the first key follows the next.
  config.use_lu_lambdas = true;
  const std::vector<SigmaSchedule> euler = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kBeta};
  EXPECT_EQ(ConfiguredSigmaSchedule(config, euler), SigmaSchedule::kBeta);
}

TEST(ClassDefaultsTest, RefusalsNameTheKey) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  struct Row {
    const char* key;
    std::function<void(NoiseScheduleConfig&)> spoil;
  };
  const Row rows[] = {
      {"num_train_timesteps", [](auto& c) { c.num_train_timesteps = 1; }},
      {"num_train_timesteps", [](auto& c) { c.num_train_timesteps = 100'001; }},
      {"beta_start", [](auto& c) { c.beta_start = 0.0; }},
      {"beta_start", [=](auto& c) { c.beta_start = nan; }},
      {"beta_end", [](auto& c) { c.beta_end = 1.0; }},
      {"steps_offset", [](auto& c) { c.steps_offset = -1; }},
      {"steps_offset", [](auto& c) { c.steps_offset = 1000; }},
      {"trained_betas", [](auto& c) { c.trained_betas = {0.1, 0.2}; }},
      {"trained_betas", [](auto& c) { c.trained_betas.assign(1000, 1.5); }},
      {"clip_sample_range", [](auto& c) { c.clip_sample_range = -1.0; }},
      {"sample_max_value", [=](auto& c) { c.sample_max_value = nan; }},
      {"dynamic_thresholding_ratio", [](auto& c) { c.dynamic_thresholding_ratio = 1.01; }},
      {"sigma_min", [](auto& c) { c.sigma_min = 0.0; }},
      {"sigma_max", [](auto& c) { c.sigma_max = -3.0; }},
      {"sigma_data", [](auto& c) { c.sigma_data = 0.0; }},
      {"rho", [=](auto& c) { c.rho = nan; }},
      {"lambda_min_clipped", [=](auto& c) { c.lambda_min_clipped = nan; }},
  };
  for (const Row& row : rows) {
    NoiseScheduleConfig config;
    row.spoil(config);
    const absl::Status status = ResolveSettings(config, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.key;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.key));
  }
}

TEST(ClassDefaultsTest, DistillationAndScoreKeys) {
  const ScheduleSettings defaults = ResolveSettings({}, {}).value();
  EXPECT_FALSE(defaults.skip_prk_steps || defaults.log_linear_interpolation || defaults.continuous_timesteps);
  EXPECT_EQ(defaults.original_inference_steps, 50);
  EXPECT_EQ(defaults.timestep_scaling, 10.0);
  EXPECT_FALSE(defaults.predicts_score);

  NoiseScheduleConfig config;
  config.scheduler_class = "ScoreSdeVeScheduler";
  const ScheduleSettings score = ResolveSettings(config, {}).value();
  EXPECT_TRUE(score.predicts_score);
  EXPECT_EQ(score.sigma_min, 0.01);
  EXPECT_EQ(score.sigma_max, 1348.0);
  config.sigma_max = 50.0;
  config.score_sde = {.snr = 0.2, .sampling_eps = 1e-3, .correct_steps = 2};
  const ScheduleSettings file = ResolveSettings(config, {}).value();
  EXPECT_EQ(file.sigma_max, 50.0);
  EXPECT_EQ(file.snr, 0.2);
  EXPECT_EQ(file.sampling_eps, 1e-3);
  EXPECT_EQ(file.correct_steps, 2);
}

TEST(ClassDefaultsTest, DistillationAndScoreKeysOutOfRange) {
  const std::pair<const char*, std::function<void(NoiseScheduleConfig&)>> rows[] = {
      {"original_inference_steps is 0", [](auto& c) { c.original_inference_steps = 0; }},
      {"original_inference_steps is 1001", [](auto& c) { c.original_inference_steps = 1001; }},
      {"timestep_scaling is 0", [](auto& c) { c.timestep_scaling = 0.0; }},
      {"snr is -1", [](auto& c) { c.score_sde.snr = -1.0; }},
      {"sampling_eps is 1", [](auto& c) { c.score_sde.sampling_eps = 1.0; }},
      {"correct_steps is 101", [](auto& c) { c.score_sde.correct_steps = 101; }},
  };
  for (const auto& [says, spoil] : rows) {
    NoiseScheduleConfig config;
    spoil(config);
    EXPECT_THAT(std::string(ResolveSettings(config, {}).status().message()),
                testing::HasSubstr(std::string("scheduler_config.json: ") + says));
  }
}

}  // namespace
}  // namespace stepcast::sampling
