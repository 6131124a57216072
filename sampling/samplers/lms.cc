// Linear multistep for the probability-flow ODE: Adams-Bashforth on unequal steps, up to order 4.
// k-diffusion: sample_lms; diffusers: LMSDiscreteScheduler.

#include <algorithm>

#include "core/status_macros.h"
#include "sampling/samplers/euler_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr int kMaxOrder = 4;

// The integral over step i of the polynomial that is 1 at the level `age` levels back and 0 at the others of the last
// `order` levels. Simpson's rule is exact: the polynomial is a cubic at most.
double Coefficient(absl::Span<const float> sigmas, int i, int age, int order) {
  const auto basis = [&](double tau) {
    double product = 1.0;
    for (int k = 0; k < order; ++k) {
      if (k == age) continue;
      product *= (tau - sigmas[i - k]) / (static_cast<double>(sigmas[i - age]) - sigmas[i - k]);
    }
    return product;
  };
  const double begin = sigmas[i];
  const double end = sigmas[i + 1];
  return (end - begin) / 6.0 * (basis(begin) + 4.0 * basis((begin + end) / 2.0) + basis(end));
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps, EulerSteps(input, FinalSigmas::kZero));
  builder.set_start(EulerStart(input, steps));
  const int max_order = input.spec.options.solver_order.value_or(kMaxOrder);
  for (int i = input.first_step; i < input.steps(); ++i) {
    const double sigma = steps.sigmas[i];
    builder.Evaluate(i - input.first_step, steps.timesteps[i], InputScale(sigma));
    builder.SetLevel({1.0f, static_cast<float>(sigma)});
    const LinearForm x0 = builder.PredictX0(PredictX0InSigmaSpace(input.settings.prediction_type, sigma));
    builder.PushHistory((builder.latents() - x0) / sigma);
    // From an image, diffusers takes the coefficients of a full history from the first step on.
    const int order = std::min(i + 1, max_order);
    LinearForm next = builder.latents();
    for (int age = 0; age < std::min(order, builder.history_size()); ++age) {
      next += Coefficient(steps.sigmas, i, age, order) * builder.History(age);
    }
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& LmsSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kLms,
      .defaults = {.scheduler_class = "LMSDiscreteScheduler",
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kUnknown},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .accepts = {.max_solver_order = kMaxOrder},
      .history = kMaxOrder - 1,
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
