#include "sampling/samplers/euler_family.h"

#include <algorithm>
#include <cmath>

namespace stepcast::sampling {

absl::StatusOr<SigmaSteps> EulerSteps(const SamplerInput& input, FinalSigmas final_sigmas, bool round_karras) {
  const ScheduleSettings& settings = input.settings;
  const SigmaStepsRule rule{
      .spacing = {.spacing = settings.timestep_spacing,
                  .num_train_timesteps = settings.num_train_timesteps,
                  .steps_offset = settings.steps_offset,
                  .fractional = true},
      .schedule = settings.sigma_schedule,
      .final_sigmas = final_sigmas,
      .log_linear = input.spec.sampler == Sampler::kEuler && settings.log_linear_interpolation,
      .round_karras = round_karras,
      .sigma_min = settings.sigma_min,
      .sigma_max = settings.sigma_max,
  };
  if (!input.spec.sigmas.empty()) return ExplicitSigmas(input.schedule, rule, input.spec.sigmas);
  if (!input.spec.timesteps.empty()) return ExplicitTimesteps(input.schedule, rule, input.spec.timesteps);
  return SpreadSigmas(input.schedule, rule, input.steps());
}

Start EulerStart(const SamplerInput& input, const SigmaSteps& steps) {
  if (input.from_image()) return {1.0f, steps.sigmas[input.first_step]};
  const double largest = *std::max_element(steps.sigmas.begin(), steps.sigmas.end());
  const bool leading = input.settings.timestep_spacing == TimestepSpacing::kLeading;
  return {0.0f, static_cast<float>(leading ? std::sqrt(largest * largest + 1.0) : largest)};
}

double InputScale(double sigma) { return 1.0 / std::sqrt(sigma * sigma + 1.0); }

}  // namespace stepcast::sampling
