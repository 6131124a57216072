// Euler's method for the probability-flow ODE, with churn for the SDE: Karras et al. 2022, algorithm 2.
// diffusers: EulerDiscreteScheduler.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/status_macros.h"
#include "sampling/samplers/euler_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

// Karras et al. 2022, algorithm 2: the share by which churn raises the noise level of a step.
double ChurnShare(const SamplerInput& input, size_t levels) {
  return std::min(input.spec.options.churn.value_or(0.0) / static_cast<double>(levels), std::numbers::sqrt2 - 1.0);
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  if (input.settings.log_linear_interpolation && input.settings.continuous_timesteps) {
    return absl::InvalidArgumentError(
        "scheduler_config.json: interpolation_type log_linear does not go with timestep_type continuous");
  }
  STEPCAST_ASSIGN_OR_RETURN(SigmaSteps steps, EulerSteps(input, input.settings.final_sigmas_type));
  if (input.settings.continuous_timesteps && input.settings.prediction_type == PredictionType::kVPrediction) {
    for (size_t i = 0; i < steps.timesteps.size(); ++i) steps.timesteps[i] = 0.25f * std::log(steps.sigmas[i]);
  }
  builder.set_start(EulerStart(input, steps));
  const double gamma = ChurnShare(input, steps.sigmas.size() - 1);
  const double s_noise = input.spec.options.s_noise.value_or(1.0);
  for (int i = input.first_step; i < input.steps(); ++i) {
    const double sigma = steps.sigmas[i];
    const double next_sigma = steps.sigmas[i + 1];
    builder.Evaluate(i - input.first_step, steps.timesteps[i], InputScale(sigma));
    builder.SetLevel({1.0f, static_cast<float>(sigma)});
    // As in diffusers, the churned latents are not shown to the denoiser: its output is that of level sigma.
    LinearForm latents = builder.latents();
    const double churned = sigma * (1.0 + gamma);
    if (gamma > 0.0) latents += s_noise * std::sqrt(churned * churned - sigma * sigma) * builder.DrawNoise();
    const bool epsilon = input.settings.prediction_type == PredictionType::kEpsilon;
    const PredictionForm form = PredictX0InSigmaSpace(input.settings.prediction_type, epsilon ? churned : sigma);
    builder.PredictX0(PredictX0InSigmaSpace(input.settings.prediction_type, sigma));
    const LinearForm x0 = form.from_latents * latents + form.from_output * LinearForm::Of(Slot::kModelOutput);
    builder.Assign(Slot::kLatents, latents + (latents - x0) * ((next_sigma - churned) / churned));
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& EulerSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kEuler,
      .defaults = {.scheduler_class = "EulerDiscreteScheduler",
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kFinite},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .accepts = {.churn = true, .timesteps = true, .sigmas = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
