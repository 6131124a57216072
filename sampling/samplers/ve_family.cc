#include "sampling/samplers/ve_family.h"

#include <algorithm>

#include "sampling/samplers/euler_family.h"

namespace stepcast::sampling {

VeLevels::VeLevels(const SamplerInput& input)
    : settings_(input.settings),
      table_{input.schedule.sigmas().front(), input.schedule.sigmas().back()},
      to_timestep_(input.schedule.sigmas()) {}

VeLevel VeLevels::At(double sigma) const {
  const double variance = sigma * sigma;
  if (settings_.predicts_score) return {sigma, sigma, 1.0, {1.0, variance}, {0.0, 1.0}};
  const PredictionForm x0 = PredictX0InSigmaSpace(settings_.prediction_type, sigma);
  // Tweedie's formula: x0 = x + sigma^2 * score.
  return {sigma,
          to_timestep_(sigma),
          InputScale(sigma),
          x0,
          {(x0.from_latents - 1.0) / variance, x0.from_output / variance}};
}

SigmaRange VeLevels::Range(SigmaRange limits) const {
  return {settings_.sigma_min.value_or(std::max(table_.sigma_min, limits.sigma_min)),
          settings_.sigma_max.value_or(std::min(table_.sigma_max, limits.sigma_max))};
}

}  // namespace stepcast::sampling
