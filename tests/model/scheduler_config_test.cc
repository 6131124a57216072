#include "model/files/scheduler_config.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast::model {
namespace {

using testing::HasSubstr;

absl::StatusOr<NoiseScheduleConfig> Parse(const std::string& text, const std::string& scheduler,
                                          absl::string_view pipeline) {
  auto json = JsonConfig::Parse(text, "scheduler_config.json");
  EXPECT_TRUE(json.ok()) << json.status();
  return ParseSchedulerConfig(*json, scheduler, pipeline);
}

TEST(ParseSchedulerConfig, ReadsWhatTheFileSaysAndLeavesTheRestEmpty) {
  const auto config = Parse(R"({"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
      "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "v_prediction",
      "set_alpha_to_one": false, "timestep_spacing": "trailing", "trained_betas": null, "solver_order": 2,
      "final_sigmas_type": "sigma_min", "variance_type": "learned_range", "clip_sample_range": 1.5})",
                            "EulerDiscreteScheduler", "DDIMPipeline");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->scheduler_class, "EulerDiscreteScheduler") << "the index decides, not the file";
  EXPECT_EQ(config->beta_start, 0.00085);
  EXPECT_EQ(config->beta_end, 0.012);
  EXPECT_EQ(config->beta_schedule, BetaSchedule::kScaledLinear);
  EXPECT_EQ(config->num_train_timesteps, 1000);
  EXPECT_EQ(config->prediction_type, PredictionType::kVPrediction);
  EXPECT_EQ(config->set_alpha_to_one, false);
  EXPECT_EQ(config->timestep_spacing, TimestepSpacing::kTrailing);
  EXPECT_EQ(config->final_sigmas_type, FinalSigmas::kSigmaMin);
  EXPECT_EQ(config->variance_type, VarianceType::kLearnedRange);
  EXPECT_EQ(config->solver_order, 2);
  EXPECT_EQ(config->clip_sample_range, 1.5);
  EXPECT_TRUE(config->trained_betas.empty());
  EXPECT_EQ(config->steps_offset, std::nullopt);
  EXPECT_EQ(config->clip_sample, std::nullopt);
}

TEST(ParseSchedulerConfig, DropsValuesThatWereDefaultsWhenSaved) {
  const auto config =
      Parse(R"({"timestep_spacing": "leading", "beta_end": 0.5, "_use_default_values": ["timestep_spacing"]})",
            "DDIMScheduler", "DDIMPipeline");
  EXPECT_EQ(config->timestep_spacing, std::nullopt);
  EXPECT_EQ(config->beta_end, 0.5);
}

TEST(ParseSchedulerConfig, AppliesWhatEachPipelineOverrides) {
  const std::string file = R"({"steps_offset": 0, "clip_sample": true, "skip_prk_steps": false})";
  const auto text = Parse(file, "DDIMScheduler", "StableDiffusionPipeline");
  EXPECT_EQ(text->steps_offset, 1);
  EXPECT_EQ(text->clip_sample, false);
  EXPECT_EQ(text->skip_prk_steps, false);
  const auto inpaint = Parse(file, "DDIMScheduler", "StableDiffusionInpaintPipeline");
  EXPECT_EQ(inpaint->steps_offset, 1);
  EXPECT_EQ(inpaint->clip_sample, true);
  EXPECT_EQ(inpaint->skip_prk_steps, true);
  const auto other = Parse(file, "DDIMScheduler", "StableDiffusionXLPipeline");
  EXPECT_EQ(other->steps_offset, 0);
  EXPECT_EQ(other->clip_sample, true);
}

TEST(ParseSchedulerConfig, KeysOfSingleClasses) {
  const auto euler = Parse(R"({"interpolation_type": "log_linear", "timestep_type": "continuous"})",
                           "EulerDiscreteScheduler", "StableDiffusionXLPipeline");
  EXPECT_EQ(euler->log_linear_interpolation, true);
  EXPECT_EQ(euler->continuous_timesteps, true);
  const auto score =
      Parse(R"({"snr": 0.16, "sampling_eps": 0.001, "correct_steps": 2})", "ScoreSdeVeScheduler", "ScoreSdeVePipeline");
  EXPECT_EQ(score->score_sde, (ScoreSdeConfig{.snr = 0.16, .sampling_eps = 0.001, .correct_steps = 2}));
  const auto wrong = Parse(R"({"interpolation_type": "cubic", "timestep_type": "odd", "correct_steps": -1})",
                           "EulerDiscreteScheduler", "StableDiffusionXLPipeline");
  for (const char* part : {"interpolation_type: 'cubic'", "timestep_type: 'odd'", "correct_steps: -1 is outside"}) {
    EXPECT_THAT(std::string(wrong.status().message()), HasSubstr(part));
  }
}

// diffusers' from_config: what the pipeline sets where the file says nothing does not reach samplers of other classes.
TEST(ParseSchedulerConfig, AbsentKeysAreOverriddenForTheirOwnClassOnly) {
  const auto text = Parse("{}", "DDIMScheduler", "StableDiffusionPipeline");
  EXPECT_EQ(text->steps_offset, std::nullopt);
  EXPECT_EQ(text->clip_sample, std::nullopt);
  EXPECT_EQ(text->own_class, (PipelineOverrides{1, false, std::nullopt}));
  const auto inpaint = Parse(R"({"skip_prk_steps": false, "_use_default_values": ["skip_prk_steps"]})", "PNDMScheduler",
                             "StableDiffusionInpaintPipeline");
  EXPECT_EQ(inpaint->own_class, (PipelineOverrides{1, std::nullopt, true}));
  EXPECT_EQ(Parse("{}", "DDIMScheduler", "DDIMPipeline")->own_class, PipelineOverrides());
}

TEST(ParseSchedulerConfig, ReadsTheKeysOfSolvers) {
  const auto config = Parse(R"({"solver_order": 3, "solver_type": "heun", "algorithm_type": "sde-dpmsolver++",
      "predict_x0": false, "disable_corrector": [0, 7], "lambda_min_clipped": -5.1, "sigma_min": 0.002,
      "sigma_max": 80, "sigma_data": 1.0, "rho": 7.0, "sigma_schedule": "exponential", "use_flow_sigmas": false,
      "solver_p": null})",
                            "DPMSolverMultistepScheduler", "DDIMPipeline");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->solver_order, 3);
  EXPECT_EQ(config->solver_type, SolverType::kHeun);
  EXPECT_EQ(config->algorithm_type, SolverAlgorithm::kSdeDpmSolverPlusPlus);
  EXPECT_EQ(config->predict_x0, false);
  EXPECT_EQ(config->disable_corrector, (std::vector<int>{0, 7}));
  EXPECT_EQ(config->lambda_min_clipped, -5.1);
  EXPECT_EQ(config->sigma_max, 80.0);
  EXPECT_EQ(config->sigma_data, 1.0);
  EXPECT_EQ(config->rho, 7.0);
  EXPECT_EQ(config->edm_sigma_schedule, SigmaSchedule::kExponential);
}

// As diffusers itself saves them: an empty list, and minus infinity, which is no JSON.
TEST(ParseSchedulerConfig, ReadsWhatDiffusersSavesByDefault) {
  const auto config = Parse(R"({"disable_corrector": [], "lambda_min_clipped": -Infinity, "solver_type": "bh2"})",
                            "UniPCMultistepScheduler", "DDIMPipeline");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->disable_corrector.empty());
  EXPECT_EQ(config->lambda_min_clipped, std::nullopt);
  EXPECT_EQ(config->solver_type, SolverType::kBh2);
}

TEST(ParseSchedulerConfig, RefusesSolversByName) {
  const auto config = Parse(R"({"algorithm_type": "magic", "solver_type": "rk45", "sigma_schedule": "lu",
      "disable_corrector": [-1], "use_flow_sigmas": true})",
                            "DPMSolverMultistepScheduler", "DDIMPipeline");
  for (const char* part :
       {"algorithm_type: 'magic' is not supported (dpmsolver, dpmsolver++", "solver_type: 'rk45'",
        "sigma_schedule: 'lu' is not supported (karras, exponential are)", "disable_corrector", "use_flow_sigmas"}) {
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(part));
  }
}

TEST(ParseSchedulerConfig, NamesEveryBadValue) {
  const auto config = Parse(R"({"beta_schedule": "wavy", "prediction_type": 3, "num_train_timesteps": 0,
      "timestep_spacing": "random", "variance_type": "fixed_huge", "trained_betas": ["x"]})",
                            "DDIMScheduler", "DDIMPipeline");
  const std::string message(config.status().message());
  for (const char* part :
       {"beta_schedule: 'wavy' is not supported (linear, scaled_linear", "prediction_type: a string",
        "num_train_timesteps: 0 is outside", "timestep_spacing: 'random'", "fixed_huge", "trained_betas: a list"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST(ParseSchedulerConfig, KeysOfClassesThatAnotherStandsInFor) {
  const auto sde = Parse(R"({"noise_sampler_seed": 3, "use_karras_sigmas": true})", "DPMSolverSDEScheduler",
                         "StableDiffusionXLPipeline");
  ASSERT_TRUE(sde.ok()) << sde.status();
  EXPECT_EQ(sde->beta_start, 0.00085) << "what the class assumes is what the model was trained with";
  EXPECT_EQ(sde->beta_end, 0.012);
  auto json = JsonConfig::Parse(R"({"algorithm_type": "data_prediction", "predictor_order": 2, "corrector_order": 2,
      "tau_func": null, "variance_type": null})",
                                "scheduler_config.json");
  const auto sa = ParseSchedulerConfig(*json, "SASolverScheduler", "StableDiffusionXLPipeline");
  ASSERT_TRUE(sa.ok()) << sa.status();
  EXPECT_EQ(sa->algorithm_type, std::nullopt);
  EXPECT_EQ(sa->beta_start, std::nullopt);
  EXPECT_THAT(json->UnknownKeys(), testing::IsEmpty());
}

}  // namespace
}  // namespace stepcast::model
