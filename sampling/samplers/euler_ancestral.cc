// Ancestral sampling in sigma space: an Euler step down past the next noise level, then fresh noise up to it.
// k-diffusion: sample_euler_ancestral; diffusers: EulerAncestralDiscreteScheduler.

#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/euler_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps, EulerSteps(input, FinalSigmas::kZero));
  builder.set_start(EulerStart(input, steps));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const double sigma = steps.sigmas[i];
    const double next_sigma = steps.sigmas[i + 1];
    const double next_variance = next_sigma * next_sigma;
    const double variance = sigma * sigma;
    const double sigma_up = std::sqrt(next_variance * (variance - next_variance) / variance);
    const double sigma_down = std::sqrt(next_variance - sigma_up * sigma_up);
    builder.Evaluate(i - input.first_step, steps.timesteps[i], InputScale(sigma));
    builder.SetLevel({1.0f, static_cast<float>(sigma)});
    const LinearForm x0 = builder.PredictX0(PredictX0InSigmaSpace(input.settings.prediction_type, sigma));
    const LinearForm derivative = (builder.latents() - x0) / sigma;
    // The last step draws too, though its share is 0: the stream of normals counts.
    builder.Assign(Slot::kLatents,
                   builder.latents() + derivative * (sigma_down - sigma) + sigma_up * builder.DrawNoise());
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& EulerAncestralSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kEulerAncestral,
      .defaults = {.scheduler_class = "EulerAncestralDiscreteScheduler",
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kFinite},
      // diffusers' class knows only the default; the others are k-diffusion's.
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
