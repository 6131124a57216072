// DDPM, ancestral sampling: Ho et al. 2020, "Denoising diffusion probabilistic models", equations 6 and 7.
// diffusers: DDPMScheduler.

#include <algorithm>
#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

// Scalars of one step. The reference computes them in float32 in this order, and near timestep 0 the difference to
// double shows: 1 - a/p cancels almost all of its digits.
struct StepScalars {
  float a;  // cumulative alpha here
  float p;  // and at the next timestep of the list; 1 after the last
  float one_minus_a;
  float one_minus_p;
  float alpha;  // of the step: a / p
  float beta;

  StepScalars(float here, float next)
      : a(here), p(next), one_minus_a(1.0f - a), one_minus_p(1.0f - p), alpha(a / p), beta(1.0f - alpha) {}

  float mean_from_x0() const { return std::sqrt(p) * beta / one_minus_a; }
  float mean_from_latents() const { return std::sqrt(alpha) * one_minus_p / one_minus_a; }

  float SmallVariance() const { return std::max(one_minus_p / one_minus_a * beta, 1e-20f); }

  float StandardDeviation(VarianceType type) const {
    if (type == VarianceType::kFixedLarge) return std::sqrt(beta);
    const float variance = SmallVariance();
    return type == VarianceType::kFixedSmallLog ? std::exp(0.5f * std::log(variance)) : std::sqrt(variance);
  }
};

// The step's noise, of the model's own variance where it learned one.
LinearForm DrawNoise(const StepScalars& scalars, VarianceType type, ProgramBuilder& builder) {
  const LinearForm noise = builder.DrawNoise();
  if (type == VarianceType::kLearned) {
    builder.SetSpecial(Special::kVarianceRoot, {});
    return noise;
  }
  if (type == VarianceType::kLearnedRange) {
    // v in [-1, 1] moves the logarithm of the variance between its smallest and largest sensible value.
    const float low = std::log(scalars.SmallVariance());
    const float high = std::log(scalars.beta);
    builder.SetSpecial(Special::kVarianceNoise, {.scale = 0.5f * (high - low), .offset = 0.5f * (high + low)});
    return noise;
  }
  return scalars.StandardDeviation(type) * noise;
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  const VarianceType variance = input.settings.variance_type;
  if (variance == VarianceType::kFixedLargeLog) {
    return absl::InvalidArgumentError(
        "sampler: DDPM with the model's variance_type fixed_large_log has no finite noise (the root of a negative "
        "logarithm); choose another sampler");
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<int> timesteps, TableTimesteps(input));
  const absl::Span<const float> alphas = input.schedule.alphas_cumprod();
  const PredictionType prediction = input.settings.prediction_type;

  builder.set_start(VariancePreservingStart(input, alphas[timesteps[input.first_step]]));
  for (int i = input.first_step; i < input.steps(); ++i) {
    const int t = timesteps[i];
    const StepScalars scalars(alphas[t], i + 1 < input.steps() ? alphas[timesteps[i + 1]] : 1.0f);
    builder.Evaluate(i - input.first_step, t);
    builder.SetLevel(VariancePreservingLevel(alphas[t]));
    const LinearForm x0 = builder.PredictX0(PredictX0(prediction, std::sqrt(scalars.a), std::sqrt(scalars.one_minus_a)),
                                            PostOf(input.settings));
    LinearForm next = scalars.mean_from_x0() * x0 + scalars.mean_from_latents() * builder.latents();
    // Drawn at the end of a list that stops above 0 as well, where its share is 1e-10: the stream of normals counts.
    if (t > 0) next += DrawNoise(scalars, variance, builder);
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& DdpmSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kDdpm,
      .defaults = {.scheduler_class = "DDPMScheduler",
                   .timestep_spacing = TimestepSpacing::kLeading,
                   .clip_sample = true,
                   .zero_snr = ZeroSnr::kExact},
      .accepts = {.timesteps = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
