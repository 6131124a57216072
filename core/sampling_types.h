#pragma once
// The values of sampling that requests, models and compilers share. Names follow diffusers.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/sampling_enums.h"
#include "core/score_sde_config.h"

namespace stepcast {

// What a pipeline class sets in its own scheduler where the file has no such key. A sampler of another class does not
// see it: it takes the default of that class. (Keys that are in the file are overridden there, for all classes.)
struct PipelineOverrides {
  std::optional<int> steps_offset;
  std::optional<bool> clip_sample;
  std::optional<bool> skip_prk_steps;

  friend bool operator==(const PipelineOverrides&, const PipelineOverrides&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const PipelineOverrides& o) {
    return H::combine(std::move(h), o.steps_offset, o.clip_sample, o.skip_prk_steps);
  }
};

// A model's scheduler_config.json, key by key. An empty optional means "not in the file": the sampling
// library then takes the default of the sampler's own diffusers class, which differs between classes.
struct NoiseScheduleConfig {
  std::string scheduler_class;  // "DDIMScheduler"; from model_index.json
  std::optional<int> num_train_timesteps;
  std::optional<double> beta_start;
  std::optional<double> beta_end;
  std::optional<BetaSchedule> beta_schedule;
  std::vector<double> trained_betas;  // empty: none
  std::optional<PredictionType> prediction_type;
  std::optional<TimestepSpacing> timestep_spacing;
  std::optional<int> steps_offset;
  std::optional<bool> clip_sample;
  std::optional<double> clip_sample_range;
  std::optional<bool> thresholding;
  std::optional<double> dynamic_thresholding_ratio;
  std::optional<double> sample_max_value;
  std::optional<bool> set_alpha_to_one;
  std::optional<bool> rescale_betas_zero_snr;
  std::optional<VarianceType> variance_type;
  std::optional<bool> use_karras_sigmas;
  std::optional<bool> use_exponential_sigmas;
  std::optional<bool> use_beta_sigmas;
  std::optional<bool> use_lu_lambdas;
  std::optional<FinalSigmas> final_sigmas_type;
  std::optional<int> solver_order;
  std::optional<SolverType> solver_type;
  std::optional<SolverAlgorithm> algorithm_type;
  std::optional<bool> lower_order_final;
  std::optional<bool> euler_at_final;
  std::optional<bool> predict_x0;            // UniPC
  std::vector<int> disable_corrector;        // UniPC: steps after which the next one does not correct
  std::optional<double> lambda_min_clipped;  // DPM-Solver: timesteps of a lower ln(alpha/sigma) are left out
  std::optional<bool> skip_prk_steps;
  std::optional<int> original_inference_steps;
  std::optional<double> timestep_scaling;
  std::optional<bool> log_linear_interpolation;  // Euler: interpolation_type is "log_linear"
  std::optional<bool> continuous_timesteps;      // Euler: timestep_type is "continuous"
  ScoreSdeConfig score_sde = {};
  bool embeds_guidance = false;  // of the denoiser, not the file: the guidance scale is its input (time_cond_proj_dim)
  std::optional<double> sigma_min;
  std::optional<double> sigma_max;
  std::optional<double> sigma_data;                 // EDM: standard deviation of the data
  std::optional<double> rho;                        // EDM
  std::optional<SigmaSchedule> edm_sigma_schedule;  // EDM: the key "sigma_schedule", karras or exponential
  PipelineOverrides own_class = {};

  friend bool operator==(const NoiseScheduleConfig&, const NoiseScheduleConfig&) = default;

  // Every field of operator== takes part.
  template <typename H>
  friend H AbslHashValue(H h, const NoiseScheduleConfig& c) {
    h = H::combine(std::move(h), c.scheduler_class, c.num_train_timesteps, c.beta_start, c.beta_end, c.beta_schedule,
                   c.trained_betas, c.prediction_type, c.timestep_spacing, c.steps_offset, c.clip_sample,
                   c.clip_sample_range, c.thresholding, c.dynamic_thresholding_ratio, c.sample_max_value);
    h = H::combine(std::move(h), c.set_alpha_to_one, c.rescale_betas_zero_snr, c.variance_type, c.use_karras_sigmas,
                   c.use_exponential_sigmas, c.use_beta_sigmas, c.use_lu_lambdas, c.final_sigmas_type, c.solver_order,
                   c.lower_order_final, c.euler_at_final);
    h = H::combine(std::move(h), c.solver_type, c.algorithm_type, c.predict_x0, c.disable_corrector,
                   c.lambda_min_clipped, c.rho, c.edm_sigma_schedule, c.own_class);
    return H::combine(std::move(h), c.skip_prk_steps, c.original_inference_steps, c.timestep_scaling, c.sigma_min,
                      c.sigma_max, c.sigma_data, c.log_linear_interpolation, c.continuous_timesteps, c.score_sde,
                      c.embeds_guidance);
  }
};

}  // namespace stepcast
