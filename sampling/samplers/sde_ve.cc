// Predictor-corrector sampling of the reverse variance-exploding SDE: Song et al. 2020, "Score-based generative
// modeling through stochastic differential equations", algorithms 2 and 4. diffusers: ScoreSdeVeScheduler.

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "sampling/samplers/registry.h"
#include "sampling/samplers/ve_family.h"

namespace stepcast::sampling {
namespace {

// Levels of a model that was not trained for this sampler: those of the paper's smaller pictures.
constexpr SigmaRange kLimits = {0.01, 50.0};

struct VeStep {
  double sigma;           // of the denoiser's evaluations
  double discrete_sigma;  // of the predictor, and where it goes
  double next_sigma;
};

std::vector<VeStep> Steps(SigmaRange range, double sampling_eps, int count) {
  const std::vector<float> times = TorchLinspace(1.0, sampling_eps, count);
  const std::vector<float> logs = TorchLinspace(std::log(range.sigma_min), std::log(range.sigma_max), count);
  std::vector<VeStep> steps;
  for (const float t : times) {
    const double sigma = range.sigma_min * std::pow(range.sigma_max / range.sigma_min, static_cast<double>(t));
    const auto k = static_cast<size_t>(t * static_cast<float>(count - 1));
    // One step: diffusers' list of one level holds the smallest, which would leave the noise in.
    const double discrete = count == 1 ? range.sigma_max : std::exp(logs[k]);
    steps.push_back({sigma, discrete, k == 0 ? 0.0 : std::exp(static_cast<double>(logs[k - 1]))});
  }
  return steps;
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  const VeLevels levels(input);
  const SigmaRange range = levels.Range(kLimits);
  if (!(range.sigma_min < range.sigma_max)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("scheduler_config.json: sigma_min is %g and sigma_max is %g; SDE_VE needs rising levels",
                        range.sigma_min, range.sigma_max));
  }
  const std::vector<VeStep> steps = Steps(range, input.settings.sampling_eps, input.steps());
  const auto first = static_cast<float>(steps[input.first_step].sigma);
  builder.set_start(input.from_image() ? Start{1.0f, first} : Start{0.0f, static_cast<float>(range.sigma_max)});
  for (int i = input.first_step; i < input.steps(); ++i) {
    const VeStep& step = steps[i];
    const VeLevel level = levels.At(step.sigma);
    const auto evaluate = [&] {
      builder.Evaluate(i - input.first_step, level.timestep, level.input_scale);
      builder.SetLevel({1.0f, static_cast<float>(step.sigma)});
      builder.PredictX0(level.x0);
    };
    for (int c = 0; c < input.settings.correct_steps; ++c) {
      evaluate();
      builder.SetSpecial(Special::kLangevinNorm, {.scale = static_cast<float>(input.settings.snr),
                                                  .score_from_latents = static_cast<float>(level.score.from_latents),
                                                  .score_from_output = static_cast<float>(level.score.from_output)});
      builder.Assign(Slot::kLatents, builder.latents() + LinearForm::Of(Slot::kModelOutput) + builder.DrawNoise());
    }
    evaluate();
    const double variance = step.discrete_sigma * step.discrete_sigma - step.next_sigma * step.next_sigma;
    const LinearForm noise = std::sqrt(variance) * builder.DrawNoise();
    LinearForm next = builder.latents() + variance * builder.Combine(level.score);
    // The picture is the mean of the last step; its noise is drawn all the same.
    if (i + 1 < input.steps()) next += noise;
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& SdeVeSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kSdeVe,
      .defaults = {.scheduler_class = "ScoreSdeVeScheduler", .zero_snr = ZeroSnr::kFinite},
      .takes_score = true,
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
