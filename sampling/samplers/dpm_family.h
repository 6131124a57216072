#pragma once
// What the DPM-Solver samplers share: noise levels in sigma space, latents in the model's own space.

#include "absl/status/statusor.h"
#include "sampling/samplers/sampler.h"
#include "sampling/sigma_schedule.h"

namespace stepcast::sampling {

// A noise level in variance-preserving form: latents = alpha * x0 + sigma * noise, alpha^2 + sigma^2 = 1.
struct DpmLevel {
  double alpha = 1.0;
  double sigma = 0.0;
  double lambda = 0.0;  // ln alpha - ln sigma; infinite at sigma 0

  explicit DpmLevel(double sigma_space_sigma);
};

// Steps of the DPM-Solver classes: n + 1 points without the last, whole timesteps.
absl::StatusOr<SigmaSteps> DpmSteps(const SamplerInput& input);

// Noise, or the image with the noise of the first level.
Start DpmStart(const SamplerInput& input, const SigmaSteps& steps);

}  // namespace stepcast::sampling
