// Strategic stochastic sampling of trajectory consistency models: Zheng et al. 2024, "Trajectory consistency
// distillation", algorithm 4. diffusers: TCDScheduler.

#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/consistency_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  // diffusers reads its own key as "every k-th timestep", but the argument of the same name as "all of them".
  const bool all = input.spec.options.original_inference_steps.has_value();
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<int> timesteps, DistilledTimesteps(input, all));
  const absl::Span<const float> alphas = input.schedule.alphas_cumprod();
  const PredictionType prediction = input.settings.prediction_type;
  builder.set_start(VariancePreservingStart(input, alphas[timesteps[input.first_step]]));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const bool last = i + 1 == input.steps();
    const double a = alphas[timesteps[i]];
    const int next_timestep = last ? 0 : timesteps[i + 1];
    // Denoises further than the next timestep, then adds fresh noise up to it. The product is float32 upstream.
    const auto below = static_cast<int>(std::floor(static_cast<float>(1.0 - input.eta()) * next_timestep));
    const double s = alphas[below];
    const double p = alphas[next_timestep];
    builder.Evaluate(i - input.first_step, timesteps[i]);
    builder.SetLevel(VariancePreservingLevel(a));
    const LinearForm x0 = builder.PredictX0(PredictX0(prediction, std::sqrt(a), std::sqrt(1.0 - a)));
    const LinearForm noise = builder.Combine(PredictNoise(prediction, std::sqrt(a), std::sqrt(1.0 - a)));
    LinearForm next = std::sqrt(s) * x0 + std::sqrt(1.0 - s) * noise;
    if (input.eta() > 0.0 && !last) next = std::sqrt(p / s) * next + std::sqrt(1.0 - p / s) * builder.DrawNoise();
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& TcdSampler() {
  static const SamplerDefinition definition = [] {
    SamplerDefinition tcd = DistilledDefinition(Sampler::kTcd, Build);
    tcd.default_eta = 0.0;
    return tcd;
  }();
  return definition;
}

}  // namespace stepcast::sampling
