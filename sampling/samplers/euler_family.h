#pragma once
// What the Euler samplers share: sigma space with x = x0 + sigma * noise, scaled input, fractional timesteps.

#include "absl/status/statusor.h"
#include "sampling/samplers/sampler.h"
#include "sampling/schedule/sigma_schedule.h"

namespace stepcast::sampling {

// Steps of the Euler classes, or the request's own list. `final_sigmas`: where the last step ends. `round_karras`:
// Karras levels are told as whole timesteps.
absl::StatusOr<SigmaSteps> EulerSteps(const SamplerInput& input, FinalSigmas final_sigmas, bool round_karras = false);

// Image plus noise of the first level, or pure noise of the largest (with leading spacing: as if an image of unit
// variance were under it).
Start EulerStart(const SamplerInput& input, const SigmaSteps& steps);

// latents * InputScale(sigma) is the denoiser's input.
double InputScale(double sigma);

}  // namespace stepcast::sampling
