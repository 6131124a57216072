// Multistep sampling of latent consistency models: Luo et al. 2023, "Latent consistency models", algorithm 3.
// diffusers: LCMScheduler.

#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/consistency_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr double kSigmaData = 0.5;

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<int> timesteps, DistilledTimesteps(input, false));
  const absl::Span<const float> alphas = input.schedule.alphas_cumprod();
  builder.set_start(VariancePreservingStart(input, alphas[timesteps[input.first_step]]));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const int t = timesteps[i];
    const double a = alphas[t];
    builder.Evaluate(i - input.first_step, t);
    builder.SetLevel(VariancePreservingLevel(a));
    const LinearForm x0 = builder.PredictX0(PredictX0(input.settings.prediction_type, std::sqrt(a), std::sqrt(1.0 - a)),
                                            PostOf(input.settings));
    // The boundary condition of a consistency model: near timestep 0 it is the identity.
    const double scaled = t * input.settings.timestep_scaling;
    const double norm = scaled * scaled + kSigmaData * kSigmaData;
    LinearForm next = scaled / std::sqrt(norm) * x0 + kSigmaData * kSigmaData / norm * builder.latents();
    if (i + 1 < input.steps()) {
      const double p = alphas[timesteps[i + 1]];
      next = std::sqrt(p) * next + std::sqrt(1.0 - p) * builder.DrawNoise();
    }
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& LcmSampler() {
  static const SamplerDefinition definition = DistilledDefinition(Sampler::kLcm, Build);
  return definition;
}

}  // namespace stepcast::sampling
