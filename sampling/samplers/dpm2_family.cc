#include "sampling/samplers/dpm2_family.h"

#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/euler_family.h"

namespace stepcast::sampling {
namespace {

// exp of the mean of logarithms, in float32 as the reference; 0 if either is 0.
float GeometricMean(float a, float b) {
  if (a == 0.0f || b == 0.0f) return 0.0f;
  return std::exp(std::log(a) + 0.5f * (std::log(b) - std::log(a)));
}

LinearForm Derivative(const SamplerInput& input, double sigma, ProgramBuilder& builder) {
  const LinearForm x0 = builder.PredictX0(PredictX0InSigmaSpace(input.settings.prediction_type, sigma));
  return (builder.latents() - x0) / sigma;
}

}  // namespace

absl::StatusOr<Dpm2Steps> MakeDpm2Steps(const SamplerInput& input, float (*target)(float sigma, float next_sigma)) {
  Dpm2Steps steps;
  STEPCAST_ASSIGN_OR_RETURN(steps.levels, EulerSteps(input, FinalSigmas::kZero, /*round_karras=*/true));
  const SigmaToTimestep to_timestep(input.schedule.sigmas());
  const std::vector<float>& sigmas = steps.levels.sigmas;
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) {
    steps.targets.push_back(target(sigmas[i], sigmas[i + 1]));
    steps.mid_sigmas.push_back(GeometricMean(steps.targets[i], sigmas[i]));
    steps.mid_timesteps.push_back(to_timestep(steps.mid_sigmas[i]));
  }
  return steps;
}

void Dpm2Step(const SamplerInput& input, const Dpm2Steps& steps, int i, ProgramBuilder& builder) {
  const int step = i - input.first_step;
  const double sigma = steps.levels.sigmas[i];
  const double mid = steps.mid_sigmas[i];
  builder.Evaluate(step, steps.levels.timesteps[i], InputScale(sigma));
  builder.SetLevel({1.0f, static_cast<float>(sigma)});
  const LinearForm here = Derivative(input, sigma, builder);
  builder.Assign(Slot::kSaved, builder.latents());
  builder.Assign(Slot::kLatents, builder.latents() + here * (mid - sigma));
  if (i + 1 == input.steps()) return;
  builder.Evaluate(step, steps.mid_timesteps[i], InputScale(mid));
  // diffusers takes the level of the next step for that of the middle where it adds noise to what is kept.
  builder.SetLevel({1.0f, static_cast<float>(mid)}, Level{1.0f, steps.levels.sigmas[i + 1]});
  const LinearForm middle = Derivative(input, mid, builder);
  builder.Assign(Slot::kLatents, builder.Value(Slot::kSaved) + middle * (steps.targets[i] - sigma));
}

SamplerDefinition Dpm2Definition(Sampler sampler, absl::Status (*build)(const SamplerInput&, ProgramBuilder&)) {
  const bool ancestral = sampler == Sampler::kDpm2Ancestral;
  return {
      .sampler = sampler,
      .defaults = {.scheduler_class = ancestral ? "KDPM2AncestralDiscreteScheduler" : "KDPM2DiscreteScheduler",
                   .beta_start = 0.00085,
                   .beta_end = 0.012,
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kUnknown},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .build = build,
  };
}

}  // namespace stepcast::sampling
