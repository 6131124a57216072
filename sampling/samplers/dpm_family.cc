#include "sampling/samplers/dpm_family.h"

#include <cmath>

namespace stepcast::sampling {

DpmLevel::DpmLevel(double sigma_space_sigma)
    : alpha(1.0 / std::sqrt(sigma_space_sigma * sigma_space_sigma + 1.0)),
      sigma(sigma_space_sigma * alpha),
      lambda(std::log(alpha) - std::log(sigma)) {}

absl::StatusOr<SigmaSteps> DpmSteps(const SamplerInput& input) {
  const ScheduleSettings& settings = input.settings;
  const SigmaStepsRule rule{
      .spacing = {.spacing = settings.timestep_spacing,
                  .num_train_timesteps = settings.num_train_timesteps,
                  .steps_offset = settings.steps_offset,
                  .extra_point = true},
      .schedule = settings.sigma_schedule,
      .final_sigmas = settings.final_sigmas_type,
      .table_ends = true,
      .integer_timesteps = true,
      .round_karras = settings.beta_schedule != BetaSchedule::kSquaredCosCapV2,
  };
  if (!input.spec.timesteps.empty()) return ExplicitTimesteps(input.schedule, rule, input.spec.timesteps);
  return SpreadSigmas(input.schedule, rule, input.steps());
}

Start DpmStart(const SamplerInput& input, const SigmaSteps& steps) {
  if (!input.from_image()) return {0.0f, 1.0f};
  const DpmLevel level(steps.sigmas[input.first_step]);
  return {static_cast<float>(level.alpha), static_cast<float>(level.sigma)};
}

}  // namespace stepcast::sampling
