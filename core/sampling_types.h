#pragma once
// The vocabulary of sampling that requests, models and compilers share. Names follow diffusers.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/score_sde_config.h"

namespace stepcast {

// Numerical methods that turn noise into an image. The order equals stepcast.v1.Sampler in the proto.
enum class Sampler {
  kDdpm,
  kDdim,
  kPndm,
  kEuler,
  kEulerAncestral,
  kHeun,
  kLms,
  kDpm2,
  kDpm2Ancestral,
  kDpmpp2m,
  kDpmpp2mSde,
  kDpmpp3m,
  kDpmppSinglestep,
  kUnipc,
  kDeis,
  kLcm,
  kTcd,
  kEdmEuler,
  kEdmDpmpp,
  kSdeVe,
  kAnnealedLangevin,
};

// How noise levels are spread over the steps. kDefault: as the model's own scheduler_config.json says for the
// chosen sampler (use_karras_sigmas and its kin), else as the timestep spacing gives them.
enum class SigmaSchedule { kDefault, kKarras, kExponential, kBeta, kLu };

// How `steps` timesteps are picked from the training timesteps.
enum class TimestepSpacing { kLinspace, kLeading, kTrailing };

// What the denoiser predicts.
enum class PredictionType { kEpsilon, kVPrediction, kSample };

// The shape of the training betas.
enum class BetaSchedule { kLinear, kScaledLinear, kSquaredCosCapV2, kSigmoid };

// Variance added by DDPM.
enum class VarianceType { kFixedSmall, kFixedSmallLog, kFixedLarge, kFixedLargeLog, kLearned, kLearnedRange };

// The last noise level of a sigma-space sampler: 0, or the smallest of the training table.
enum class FinalSigmas { kZero, kSigmaMin };

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
  std::optional<bool> lower_order_final;
  std::optional<bool> euler_at_final;
  std::optional<bool> skip_prk_steps;
  std::optional<int> original_inference_steps;
  std::optional<double> timestep_scaling;
  std::optional<bool> log_linear_interpolation;  // Euler: interpolation_type is "log_linear"
  std::optional<bool> continuous_timesteps;      // Euler: timestep_type is "continuous"
  ScoreSdeConfig score_sde = {};
  bool embeds_guidance = false;  // of the denoiser, not the file: the guidance scale is its input (time_cond_proj_dim)
  std::optional<double> sigma_min;
  std::optional<double> sigma_max;
  std::optional<double> sigma_data;

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
    return H::combine(std::move(h), c.skip_prk_steps, c.original_inference_steps, c.timestep_scaling, c.sigma_min,
                      c.sigma_max, c.sigma_data, c.log_linear_interpolation, c.continuous_timesteps, c.score_sde,
                      c.embeds_guidance);
  }
};

// "DPMPP_2M" for Sampler::kDpmpp2m: the name of the proto enum value without its prefix.
std::string_view SamplerName(Sampler sampler);

// Inverse of SamplerName, upper case only; nullopt for unknown names.
std::optional<Sampler> SamplerFromName(std::string_view name);

// "KARRAS", "TRAILING", ...: the names of the proto enum values without their prefix.
std::string_view SigmaScheduleName(SigmaSchedule schedule);
std::string_view TimestepSpacingName(TimestepSpacing spacing);

// "epsilon", "v_prediction", "sample": as scheduler_config.json spells it.
std::string_view PredictionTypeName(PredictionType prediction);

}  // namespace stepcast
