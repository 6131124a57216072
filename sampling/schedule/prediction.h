#pragma once
// What a denoiser's output says of the finished picture: x0 = from_latents * latents + from_output * output, for
// each prediction type. Sources: Ho et al. 2020 (epsilon), Salimans & Ho 2022 (v).

#include "core/sampling_types.h"

namespace stepcast::sampling {

// Coefficients of a two-term combination of latents and denoiser output.
struct PredictionForm {
  double from_latents = 0.0;
  double from_output = 0.0;
};

// x0 of a variance-preserving model, latents = alpha * x0 + sigma * noise, alpha^2 + sigma^2 = 1.
PredictionForm PredictX0(PredictionType type, double alpha, double sigma);

// The noise in the same latents.
PredictionForm PredictNoise(PredictionType type, double alpha, double sigma);

// x0 in sigma space: latents = x0 + sigma * noise, and the denoiser saw latents / sqrt(sigma^2 + 1).
PredictionForm PredictX0InSigmaSpace(PredictionType type, double sigma);

}  // namespace stepcast::sampling
