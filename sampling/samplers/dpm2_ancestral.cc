// DPM2 down past the next noise level, then fresh noise up to it.
// k-diffusion: sample_dpm_2_ancestral; diffusers: KDPM2AncestralDiscreteScheduler.

#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/dpm2_family.h"
#include "sampling/samplers/euler_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

// Noise added after a step, in float32 as the reference.
float SigmaUp(float sigma, float next_sigma) {
  const float variance = sigma * sigma;
  const float next_variance = next_sigma * next_sigma;
  return std::sqrt(next_variance * (variance - next_variance) / variance);
}

float SigmaDown(float sigma, float next_sigma) {
  const float up = SigmaUp(sigma, next_sigma);
  const float rest = next_sigma * next_sigma - up * up;
  // Of two far levels float32 leaves nothing, and upstream divides by it; this is what it cancels to.
  return rest > 0.0f ? std::sqrt(rest) : next_sigma * next_sigma / sigma;
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const Dpm2Steps steps, MakeDpm2Steps(input, SigmaDown));
  builder.set_start(EulerStart(input, steps.levels));
  for (int i = input.first_step; i < input.steps(); ++i) {
    Dpm2Step(input, steps, i, builder);
    if (i + 1 == input.steps()) break;  // the last step draws nothing
    const double sigma_up = SigmaUp(steps.levels.sigmas[i], steps.levels.sigmas[i + 1]);
    builder.Assign(Slot::kLatents, builder.latents() + sigma_up * builder.DrawNoise());
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& Dpm2AncestralSampler() {
  static const SamplerDefinition definition = Dpm2Definition(Sampler::kDpm2Ancestral, Build);
  return definition;
}

}  // namespace stepcast::sampling
