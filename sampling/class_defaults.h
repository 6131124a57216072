#pragma once
// What a diffusers scheduler class assumes for keys that scheduler_config.json does not hold. The defaults differ
// from class to class, and a sampler chosen by a request brings those of its own class (diffusers: from_config).

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/sampling_types.h"

namespace stepcast::sampling {

// What a class makes of rescale_betas_zero_snr.
enum class ZeroSnr {
  kUnknown,  // the class has no such key: ignored
  kExact,    // the last cumulative alpha is 0
  kFinite,   // it is then set to 2^-24, so that the last sigma is 4096 and not infinite
};

// Where a class differs from the others. Each sampler of samplers/ states its own.
struct ClassDefaults {
  double beta_start = 1e-4;
  double beta_end = 0.02;
  BetaSchedule beta_schedule = BetaSchedule::kLinear;
  TimestepSpacing timestep_spacing = TimestepSpacing::kLinspace;
  bool clip_sample = false;
  bool set_alpha_to_one = true;
  bool lower_order_final = true;
  ZeroSnr zero_snr = ZeroSnr::kFinite;
};

// A NoiseScheduleConfig with nothing left open. A sampler reads the keys that its class knows.
struct ScheduleSettings {
  int num_train_timesteps = 1000;  // 2 .. 100,000
  double beta_start = 1e-4;        // in (0, 1), as beta_end
  double beta_end = 0.02;
  BetaSchedule beta_schedule = BetaSchedule::kLinear;
  std::vector<double> trained_betas = {};  // empty, or one per training timestep
  PredictionType prediction_type = PredictionType::kEpsilon;
  TimestepSpacing timestep_spacing = TimestepSpacing::kLinspace;
  int steps_offset = 0;
  bool clip_sample = false;
  double clip_sample_range = 1.0;
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1.0;
  bool set_alpha_to_one = true;
  ZeroSnr zero_snr = ZeroSnr::kUnknown;  // kUnknown: no rescale
  VarianceType variance_type = VarianceType::kFixedSmall;
  bool skip_prk_steps = false;            // PNDM
  int original_inference_steps = 50;      // LCM, TCD: 1 .. num_train_timesteps
  double timestep_scaling = 10.0;         // LCM
  bool log_linear_interpolation = false;  // Euler
  bool continuous_timesteps = false;      // Euler
  bool predicts_score = false;            // a ScoreSdeVe model: its output is the score, and it is told sigma
  double snr = 0.15;
  double sampling_eps = 1e-5;
  int correct_steps = 1;                                   // 0 .. 100
  SigmaSchedule sigma_schedule = SigmaSchedule::kDefault;  // from use_karras_sigmas and its kin
  FinalSigmas final_sigmas_type = FinalSigmas::kZero;
  bool lower_order_final = true;
  bool euler_at_final = false;
  std::optional<double> sigma_min = std::nullopt;
  std::optional<double> sigma_max = std::nullopt;
};

// Fills what `config` leaves open with `defaults` and what all classes share.
//
// Errors: INVALID_ARGUMENT, naming the key of scheduler_config.json that is out of range.
absl::StatusOr<ScheduleSettings> ResolveSettings(const NoiseScheduleConfig& config, const ClassDefaults& defaults);

}  // namespace stepcast::sampling
