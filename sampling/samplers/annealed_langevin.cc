// Annealed Langevin dynamics: Song & Ermon 2019, "Generative modeling by estimating gradients of the data
// distribution", algorithm 1, on any denoiser that knows the noise levels.

#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "sampling/samplers/registry.h"
#include "sampling/samplers/ve_family.h"

namespace stepcast::sampling {
namespace {

// Above the first, data of unit variance is all noise; below the last, a step moves less than a code value.
constexpr SigmaRange kLimits = {0.05, 20.0};
constexpr int kInnerSteps = 5;
constexpr int kMaxEvaluations = 10'000;

// Of the last level's variance. Steps are in proportion to the variance of their level, so this is each level's share:
// large enough to mix within a few steps, far below the 4 where the iteration would grow.
constexpr double kStepShare = 0.3;

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  const LangevinOptions& options = input.spec.options.langevin;
  const VeLevels levels(input);
  const SigmaRange range = levels.Range(kLimits);
  if (!(range.sigma_min < range.sigma_max)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("sampler: ANNEALED_LANGEVIN needs noise levels from %g up; this model's end at %g",
                        range.sigma_min, range.sigma_max));
  }
  const int count = options.levels.value_or(input.steps());
  const int inner_steps = options.inner_steps.value_or(kInnerSteps);
  if (count * inner_steps > kMaxEvaluations) {
    return absl::InvalidArgumentError(
        absl::StrFormat("sampler_options.langevin.inner_steps: %d levels of %d steps are more than %d evaluations",
                        count, inner_steps, kMaxEvaluations));
  }
  const int first = input.from_image() ? count - static_cast<int>(count * *input.spec.strength) : 0;
  if (first == count) return absl::InvalidArgumentError("strength: leaves no noise level to run");
  const std::vector<double> sigmas = ExponentialSigmas(range, count);
  const double last_variance = sigmas.back() * sigmas.back();
  const double epsilon = options.epsilon.value_or(kStepShare * last_variance);

  const auto start = static_cast<float>(sigmas[first]);
  builder.set_start({input.from_image() ? 1.0f : 0.0f, start});
  for (int i = first; i < count; ++i) {
    const VeLevel level = levels.At(sigmas[i]);
    const double alpha = epsilon * sigmas[i] * sigmas[i] / last_variance;
    for (int t = 0; t < inner_steps; ++t) {
      builder.Evaluate(i - first, level.timestep, level.input_scale);
      builder.SetLevel({1.0f, static_cast<float>(sigmas[i])});
      builder.PredictX0(level.x0);
      builder.Assign(Slot::kLatents, builder.latents() + 0.5 * alpha * builder.Combine(level.score) +
                                         std::sqrt(alpha) * builder.DrawNoise());
    }
  }
  if (options.final_denoise.value_or(true)) {
    const VeLevel level = levels.At(sigmas.back());
    builder.Evaluate(count - 1 - first, level.timestep, level.input_scale);
    builder.SetLevel({1.0f, static_cast<float>(sigmas.back())});
    builder.Assign(Slot::kLatents, builder.PredictX0(level.x0));
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& AnnealedLangevinSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kAnnealedLangevin,
      .defaults = {.zero_snr = ZeroSnr::kFinite},
      .takes_score = true,
      .accepts = {.langevin = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
