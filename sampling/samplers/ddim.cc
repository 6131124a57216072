// DDIM: Song et al. 2020, "Denoising diffusion implicit models", equations 12 and 16. diffusers: DDIMScheduler.

#include <algorithm>
#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<int> timesteps, TableTimesteps(input));
  const absl::Span<const float> alphas = input.schedule.alphas_cumprod();
  const PredictionType prediction = input.settings.prediction_type;
  const double final_alpha = input.settings.set_alpha_to_one ? 1.0 : alphas[0];
  // Whatever the spacing, a step goes back by this much, not to the next timestep of the list.
  const int stride = input.settings.num_train_timesteps / input.steps();

  builder.set_start(VariancePreservingStart(input, alphas[timesteps[input.first_step]]));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const int t = timesteps[i];
    const double a = alphas[t];
    const double p = t - stride >= 0 ? static_cast<double>(alphas[t - stride]) : final_alpha;
    builder.Evaluate(i - input.first_step, t);
    builder.SetLevel(VariancePreservingLevel(alphas[t]));
    const LinearForm x0 =
        builder.PredictX0(PredictX0(prediction, std::sqrt(a), std::sqrt(1.0 - a)), PostOf(input.settings));
    // Of the raw prediction: a clipped x0 does not change it.
    const LinearForm noise = builder.Combine(PredictNoise(prediction, std::sqrt(a), std::sqrt(1.0 - a)));
    const double std_dev = input.eta() * std::sqrt((1.0 - p) / (1.0 - a) * (1.0 - a / p));
    // Rounding may take the root's argument just below 0 at eta 1, where it is 0 at the last step.
    const double direction = std::sqrt(std::max(1.0 - p - std_dev * std_dev, 0.0));
    LinearForm next = std::sqrt(p) * x0 + direction * noise;
    if (input.eta() > 0.0) next += std_dev * builder.DrawNoise();
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& DdimSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kDdim,
      .defaults = {.scheduler_class = "DDIMScheduler",
                   .timestep_spacing = TimestepSpacing::kLeading,
                   .clip_sample = true,
                   .zero_snr = ZeroSnr::kExact},
      .default_eta = 0.0,
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
