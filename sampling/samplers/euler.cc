// Euler's method for the probability-flow ODE: Karras et al. 2022, algorithm 2 without churn.
// diffusers: EulerDiscreteScheduler.

#include "core/status_macros.h"
#include "sampling/samplers/euler_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps, EulerSteps(input, input.settings.final_sigmas_type));
  builder.set_start(EulerStart(input, steps));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const double sigma = steps.sigmas[i];
    const double next_sigma = steps.sigmas[i + 1];
    builder.Evaluate(i - input.first_step, steps.timesteps[i], InputScale(sigma));
    const LinearForm x0 = builder.PredictX0(PredictX0InSigmaSpace(input.settings.prediction_type, sigma));
    const LinearForm derivative = (builder.latents() - x0) / sigma;
    builder.Assign(Slot::kLatents, builder.latents() + derivative * (next_sigma - sigma));
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& EulerSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kEuler,
      .defaults = {.timestep_spacing = TimestepSpacing::kLinspace, .zero_snr = ZeroSnr::kFinite},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
