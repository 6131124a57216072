// Euler's method for EDM models, with churn: Karras et al. 2022, algorithm 2 without its second-order correction.
// diffusers: EDMEulerScheduler.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/status_macros.h"
#include "sampling/samplers/edm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<float> sigmas, EdmSigmas(input));
  const double churn = input.spec.options.churn.value_or(0.0);
  const double s_noise = input.spec.options.s_noise.value_or(1.0);
  // Each step first raises the noise level by this share, at most to a variance of twice the size.
  const double gamma = std::min(churn / input.steps(), std::numbers::sqrt2 - 1.0);

  builder.set_start(EdmStart(input, sigmas));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const double sigma = sigmas[i];
    const double raised = sigma * (1.0 + gamma);
    // The denoiser sees the latents before the noise, as in diffusers.
    builder.Evaluate(i - input.first_step, EdmTimestep(sigma), EdmInputScale(sigma, input.settings.sigma_data));
    builder.SetLevel({1.0f, static_cast<float>(sigma)});
    const PredictionForm form = EdmX0(input.settings, raised);
    LinearForm x0 = builder.PredictX0(form);
    LinearForm latents = builder.latents();
    if (gamma > 0.0) {
      const LinearForm added = s_noise * std::sqrt(raised * raised - sigma * sigma) * builder.DrawNoise();
      latents += added;
      x0 += form.from_latents * added;
    }
    builder.Assign(Slot::kLatents, latents + (latents - x0) / raised * (sigmas[i + 1] - raised));
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& EdmEulerSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kEdmEuler,
      .defaults = {.scheduler_class = "EDMEulerScheduler", .zero_snr = ZeroSnr::kUnknown, .has_spacing = false},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential},
      .for_edm_models = true,
      .accepts = {.churn = true, .sigmas = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
