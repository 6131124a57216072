#include "sampling/schedule/class_defaults.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "core/status_macros.h"

namespace stepcast::sampling {
namespace {

constexpr int kMaxTrainTimesteps = 100'000;
constexpr int kMaxCorrectSteps = 100;
constexpr char kScoreSdeVeClass[] = "ScoreSdeVeScheduler";

absl::Status CheckInside(std::string_view key, double value, double low, double high) {
  if (value > low && value < high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("scheduler_config.json: %s is %g; it must be above %g and below %g", key, value, low, high));
}

absl::Status CheckBetas(const ScheduleSettings& settings) {
  if (!settings.trained_betas.empty()) {
    if (settings.trained_betas.size() != static_cast<size_t>(settings.num_train_timesteps)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("scheduler_config.json: trained_betas has %d entries; num_train_timesteps is %d",
                          settings.trained_betas.size(), settings.num_train_timesteps));
    }
    for (const double beta : settings.trained_betas) {
      STEPCAST_RETURN_IF_ERROR(CheckInside("an entry of trained_betas", beta, 0.0, 1.0));
    }
  }
  STEPCAST_RETURN_IF_ERROR(CheckInside("beta_start", settings.beta_start, 0.0, 1.0));
  return CheckInside("beta_end", settings.beta_end, 0.0, 1.0);
}

absl::Status CheckSettings(const ScheduleSettings& settings) {
  if (settings.num_train_timesteps < 2 || settings.num_train_timesteps > kMaxTrainTimesteps) {
    return absl::InvalidArgumentError(
        absl::StrFormat("scheduler_config.json: num_train_timesteps is %d; it must be 2 to %d",
                        settings.num_train_timesteps, kMaxTrainTimesteps));
  }
  if (settings.steps_offset < 0 || settings.steps_offset >= settings.num_train_timesteps) {
    return absl::InvalidArgumentError(absl::StrFormat("scheduler_config.json: steps_offset is %d; it must be 0 to %d",
                                                      settings.steps_offset, settings.num_train_timesteps - 1));
  }
  STEPCAST_RETURN_IF_ERROR(CheckBetas(settings));
  STEPCAST_RETURN_IF_ERROR(CheckInside("clip_sample_range", settings.clip_sample_range, 0.0, HUGE_VAL));
  STEPCAST_RETURN_IF_ERROR(CheckInside("sample_max_value", settings.sample_max_value, 0.0, HUGE_VAL));
  STEPCAST_RETURN_IF_ERROR(
      CheckInside("dynamic_thresholding_ratio", settings.dynamic_thresholding_ratio, 0.0, std::nextafter(1.0, 2.0)));
  if (settings.sigma_min) STEPCAST_RETURN_IF_ERROR(CheckInside("sigma_min", *settings.sigma_min, 0.0, HUGE_VAL));
  if (settings.sigma_max) STEPCAST_RETURN_IF_ERROR(CheckInside("sigma_max", *settings.sigma_max, 0.0, HUGE_VAL));
  STEPCAST_RETURN_IF_ERROR(CheckInside("sigma_data", settings.sigma_data, 0.0, HUGE_VAL));
  STEPCAST_RETURN_IF_ERROR(CheckInside("rho", settings.rho, 0.0, HUGE_VAL));
  if (std::isnan(settings.lambda_min_clipped)) {
    return absl::InvalidArgumentError("scheduler_config.json: lambda_min_clipped is not a number");
  }
  return absl::OkStatus();
}

void ReadDistillation(const NoiseScheduleConfig& config, ScheduleSettings& settings) {
  settings.original_inference_steps = config.original_inference_steps.value_or(
      std::min(settings.original_inference_steps, settings.num_train_timesteps));
  settings.timestep_scaling = config.timestep_scaling.value_or(settings.timestep_scaling);
  settings.log_linear_interpolation = config.log_linear_interpolation.value_or(false);
  settings.continuous_timesteps = config.continuous_timesteps.value_or(false);
}

void ReadScoreSde(const NoiseScheduleConfig& config, ScheduleSettings& settings) {
  settings.predicts_score = config.scheduler_class == kScoreSdeVeClass;
  settings.snr = config.score_sde.snr.value_or(settings.snr);
  settings.sampling_eps = config.score_sde.sampling_eps.value_or(settings.sampling_eps);
  settings.correct_steps = config.score_sde.correct_steps.value_or(settings.correct_steps);
  if (!settings.predicts_score) return;
  settings.sigma_min = settings.sigma_min.value_or(0.01);
  settings.sigma_max = settings.sigma_max.value_or(1348.0);
}

absl::Status CheckDistillation(const ScheduleSettings& settings) {
  if (settings.original_inference_steps < 1 || settings.original_inference_steps > settings.num_train_timesteps) {
    return absl::InvalidArgumentError(
        absl::StrFormat("scheduler_config.json: original_inference_steps is %d; it must be 1 to %d",
                        settings.original_inference_steps, settings.num_train_timesteps));
  }
  return CheckInside("timestep_scaling", settings.timestep_scaling, 0.0, HUGE_VAL);
}

absl::Status CheckScoreSde(const ScheduleSettings& settings) {
  STEPCAST_RETURN_IF_ERROR(CheckInside("snr", settings.snr, 0.0, HUGE_VAL));
  STEPCAST_RETURN_IF_ERROR(CheckInside("sampling_eps", settings.sampling_eps, 0.0, 1.0));
  if (settings.correct_steps >= 0 && settings.correct_steps <= kMaxCorrectSteps) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("scheduler_config.json: correct_steps is %d; it must be 0 to %d",
                                                    settings.correct_steps, kMaxCorrectSteps));
}

void ReadSolver(const NoiseScheduleConfig& config, const ClassDefaults& defaults, ScheduleSettings& settings) {
  settings.final_sigmas_type = config.final_sigmas_type.value_or(FinalSigmas::kZero);
  settings.solver_order = config.solver_order.value_or(settings.solver_order);
  settings.solver_type = config.solver_type;
  settings.algorithm_type = config.algorithm_type.value_or(settings.algorithm_type);
  settings.lower_order_final = config.lower_order_final.value_or(defaults.lower_order_final);
  settings.euler_at_final = config.euler_at_final.value_or(false);
  settings.predict_x0 = config.predict_x0.value_or(true);
  settings.disable_corrector = config.disable_corrector;
  settings.lambda_min_clipped = config.lambda_min_clipped.value_or(settings.lambda_min_clipped);
  settings.sigma_min = config.sigma_min;
  settings.sigma_max = config.sigma_max;
  settings.sigma_data = config.sigma_data.value_or(settings.sigma_data);
  settings.rho = config.rho.value_or(settings.rho);
  settings.edm_sigma_schedule = config.edm_sigma_schedule.value_or(settings.edm_sigma_schedule);
}

}  // namespace

absl::StatusOr<ScheduleSettings> ResolveSettings(const NoiseScheduleConfig& config, const ClassDefaults& defaults) {
  const bool is_own = !config.scheduler_class.empty() && config.scheduler_class == defaults.scheduler_class;
  const PipelineOverrides own = is_own ? config.own_class : PipelineOverrides{};
  ScheduleSettings settings;
  settings.num_train_timesteps = config.num_train_timesteps.value_or(1000);
  settings.beta_start = config.beta_start.value_or(defaults.beta_start);
  settings.beta_end = config.beta_end.value_or(defaults.beta_end);
  settings.beta_schedule = config.beta_schedule.value_or(defaults.beta_schedule);
  settings.trained_betas = config.trained_betas;
  settings.prediction_type = config.prediction_type.value_or(PredictionType::kEpsilon);
  if (defaults.has_spacing) {
    settings.timestep_spacing = config.timestep_spacing.value_or(defaults.timestep_spacing);
    settings.steps_offset = config.steps_offset.value_or(own.steps_offset.value_or(0));
  }
  settings.clip_sample = config.clip_sample.value_or(own.clip_sample.value_or(defaults.clip_sample));
  settings.clip_sample_range = config.clip_sample_range.value_or(1.0);
  settings.thresholding = config.thresholding.value_or(false);
  settings.dynamic_thresholding_ratio = config.dynamic_thresholding_ratio.value_or(0.995);
  settings.sample_max_value = config.sample_max_value.value_or(1.0);
  settings.set_alpha_to_one = config.set_alpha_to_one.value_or(defaults.set_alpha_to_one);
  settings.zero_snr = config.rescale_betas_zero_snr.value_or(false) ? defaults.zero_snr : ZeroSnr::kUnknown;
  settings.variance_type = config.variance_type.value_or(VarianceType::kFixedSmall);
  settings.skip_prk_steps = config.skip_prk_steps.value_or(own.skip_prk_steps.value_or(false));
  ReadSolver(config, defaults, settings);
  ReadDistillation(config, settings);
  ReadScoreSde(config, settings);
  STEPCAST_RETURN_IF_ERROR(CheckDistillation(settings));
  STEPCAST_RETURN_IF_ERROR(CheckScoreSde(settings));
  STEPCAST_RETURN_IF_ERROR(CheckSettings(settings));
  return settings;
}

SigmaSchedule ConfiguredSigmaSchedule(const NoiseScheduleConfig& config, absl::Span<const SigmaSchedule> known) {
  const std::pair<std::optional<bool>, SigmaSchedule> keys[] = {
      {config.use_karras_sigmas, SigmaSchedule::kKarras},
      {config.use_lu_lambdas, SigmaSchedule::kLu},
      {config.use_exponential_sigmas, SigmaSchedule::kExponential},
      {config.use_beta_sigmas, SigmaSchedule::kBeta},
  };
  for (const auto& [wanted, schedule] : keys) {
    if (wanted.value_or(false) && std::find(known.begin(), known.end(), schedule) != known.end()) return schedule;
  }
  return SigmaSchedule::kDefault;
}

}  // namespace stepcast::sampling
