// The reverse variance-preserving SDE: Song et al. 2021, "Score-based generative modeling through stochastic
// differential equations", the reverse diffusion predictor and the probability-flow ODE of appendices D and E.

#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

// s = -noise / sigma.
PredictionForm Score(PredictionType prediction, double alpha, double sigma) {
  const PredictionForm noise = PredictNoise(prediction, alpha, sigma);
  return {-noise.from_latents / sigma, -noise.from_output / sigma};
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<int> timesteps, TableTimesteps(input));
  const absl::Span<const float> alphas = input.schedule.alphas_cumprod();
  const PredictionType prediction = input.settings.prediction_type;
  const double eta = input.eta();
  // dx = (f - (1 + eta^2) / 2 * g^2 s) dt + eta g dw has the same marginals for every eta: 1 is the reverse SDE, 0 the
  // probability-flow ODE.
  const double score_share = 0.5 * (1.0 + eta * eta);

  builder.set_start(VariancePreservingStart(input, alphas[timesteps[input.first_step]]));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const bool is_last = i + 1 == input.steps();
    const double a = alphas[timesteps[i]];
    const double p = is_last ? 1.0 : static_cast<double>(alphas[timesteps[i + 1]]);
    const double beta = (p - a) / p;  // 1 - alpha of the whole step, however many training timesteps it spans
    builder.Evaluate(i - input.first_step, timesteps[i]);
    builder.SetLevel(VariancePreservingLevel(alphas[timesteps[i]]));
    builder.PredictX0(PredictX0(prediction, std::sqrt(a), std::sqrt(1.0 - a)));
    const LinearForm score = builder.Combine(Score(prediction, std::sqrt(a), std::sqrt(1.0 - a)));
    LinearForm next = (2.0 - std::sqrt(a / p)) * builder.latents() + score_share * beta * score;
    // The picture is the mean of the last step.
    if (eta > 0.0 && !is_last) next += eta * std::sqrt(beta) * builder.DrawNoise();
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& SdeVpSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kSdeVp,
      .defaults = {.zero_snr = ZeroSnr::kExact},
      .default_eta = 1.0,
      .accepts = {.timesteps = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
