#pragma once
// What a diffusers scheduler class assumes for keys that scheduler_config.json does not hold. The defaults differ
// from class to class, and a sampler chosen by a request brings those of its own class (diffusers: from_config).

#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
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
  std::string_view scheduler_class = {};  // in diffusers
  double beta_start = 1e-4;
  double beta_end = 0.02;
  BetaSchedule beta_schedule = BetaSchedule::kLinear;
  TimestepSpacing timestep_spacing = TimestepSpacing::kLinspace;
  bool clip_sample = false;
  bool set_alpha_to_one = true;
  bool lower_order_final = true;
  ZeroSnr zero_snr = ZeroSnr::kFinite;
  bool has_spacing = true;  // false: the class has no keys timestep_spacing and steps_offset, and ignores the file's
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
  SigmaSchedule sigma_schedule = SigmaSchedule::kDefault;  // Compile sets it
  FinalSigmas final_sigmas_type = FinalSigmas::kZero;
  int solver_order = 2;
  std::optional<SolverType> solver_type = std::nullopt;  // nullopt: the class's own
  SolverAlgorithm algorithm_type = SolverAlgorithm::kDpmSolverPlusPlus;
  bool lower_order_final = true;
  bool euler_at_final = false;
  bool predict_x0 = true;
  std::vector<int> disable_corrector = {};
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();
  std::optional<double> sigma_min = std::nullopt;
  std::optional<double> sigma_max = std::nullopt;
  double sigma_data = 0.5;
  double rho = 7.0;
  SigmaSchedule edm_sigma_schedule = SigmaSchedule::kKarras;
};

// What diffusers' from_config does when a scheduler of one class is made from the file of another: keys that the
// file holds carry over as far as the class knows them; the rest takes the defaults of the class. What a pipeline
// set in its own scheduler (PipelineOverrides) stays with that class.
//
// Errors: INVALID_ARGUMENT, naming the key of scheduler_config.json that is out of range.
absl::StatusOr<ScheduleSettings> ResolveSettings(const NoiseScheduleConfig& config, const ClassDefaults& defaults);

// The spread of noise levels that the file's use_karras_sigmas, use_lu_lambdas, use_exponential_sigmas and
// use_beta_sigmas ask for: the first, in this order, that is true and that the class has (`known`), else kDefault.
SigmaSchedule ConfiguredSigmaSchedule(const NoiseScheduleConfig& config, absl::Span<const SigmaSchedule> known);

}  // namespace stepcast::sampling
