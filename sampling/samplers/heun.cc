// Heun's second-order method for the probability-flow ODE: Karras et al. 2022, algorithm 1.
// diffusers: HeunDiscreteScheduler.

#include "core/status_macros.h"
#include "sampling/samplers/euler_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps, EulerSteps(input, FinalSigmas::kZero));
  builder.set_start(EulerStart(input, steps));
  // (x - x0) / sigma at level i of the list, in an evaluation of step `step`.
  const auto derivative = [&](int step, int i) {
    builder.Evaluate(step, steps.timesteps[i], InputScale(steps.sigmas[i]));
    builder.SetLevel({1.0f, steps.sigmas[i]});
    const LinearForm x0 = builder.PredictX0(PredictX0InSigmaSpace(input.settings.prediction_type, steps.sigmas[i]),
                                            ClipOf(input.settings));
    return (builder.latents() - x0) / steps.sigmas[i];
  };
  for (int i = input.first_step; i < input.steps(); ++i) {
    const int step = i - input.first_step;
    const double dt = static_cast<double>(steps.sigmas[i + 1]) - steps.sigmas[i];
    const LinearForm here = derivative(step, i);
    builder.Assign(Slot::kSaved, builder.latents());
    builder.Assign(Slot::kAccumulator, here);
    builder.Assign(Slot::kLatents, builder.latents() + here * dt);
    if (i + 1 == input.steps()) break;  // nothing to correct with at level 0
    const LinearForm there = derivative(step, i + 1);
    builder.Assign(Slot::kLatents,
                   builder.Value(Slot::kSaved) + (builder.Value(Slot::kAccumulator) + there) * (0.5 * dt));
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& HeunSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kHeun,
      .defaults = {.scheduler_class = "HeunDiscreteScheduler",
                   .beta_start = 0.00085,
                   .beta_end = 0.012,
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kUnknown},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .accepts = {.timesteps = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
