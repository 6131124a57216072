#pragma once
// What the samplers of EDM models share: Karras et al. 2022, "Elucidating the design space of diffusion-based
// generative models", table 1. Such a denoiser was trained with preconditioned inputs and outputs and is told a quarter
// of ln sigma.

#include <vector>

#include "absl/status/statusor.h"
#include "sampling/samplers/sampler.h"

namespace stepcast::sampling {

// n + 1 falling noise levels: the request's list, or from the model's sigma_max to its sigma_min and then, kZero, 0 or,
// kSigmaMin, the last level again. Spread as Karras or exponentially; one step: sigma_max. Errors: INVALID_ARGUMENT
// unless sigma_min < sigma_max, and for models that predict x0 itself.
absl::StatusOr<std::vector<float>> EdmSigmas(const SamplerInput& input);

// Noise of sqrt(sigma^2 + 1) for the largest level, or the image plus the noise of the first level.
Start EdmStart(const SamplerInput& input, const std::vector<float>& sigmas);

// What the denoiser is told.
double EdmTimestep(double sigma);

// latents * EdmInputScale is what it sees.
double EdmInputScale(double sigma, double sigma_data);

// x0 from latents = x0 + sigma * noise and its output; v-predicting models have the sign of their output turned.
PredictionForm EdmX0(const ScheduleSettings& settings, double sigma);

}  // namespace stepcast::sampling
