#include "sampling/samplers/euler_family.h"

#include <algorithm>
#include <cmath>

namespace stepcast::sampling {

absl::StatusOr<SigmaSteps> EulerSteps(const SamplerInput& input, FinalSigmas final_sigmas) {
  const ScheduleSettings& settings = input.settings;
  const SigmaStepsRule rule{
      .spacing = {.spacing = settings.timestep_spacing,
                  .num_train_timesteps = settings.num_train_timesteps,
                  .steps_offset = settings.steps_offset,
                  .fractional = true},
      .schedule = settings.sigma_schedule,
      .final_sigmas = final_sigmas,
      .sigma_min = settings.sigma_min,
      .sigma_max = settings.sigma_max,
  };
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
