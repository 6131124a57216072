// DPM-Solver++(2M), midpoint: Lu et al. 2022, "DPM-Solver++", algorithm 2.
// diffusers: DPMSolverMultistepScheduler with solver_order 2.

#include <cmath>

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

// Below this many steps lower_order_final ends with a first-order step (diffusers' constant).
constexpr int kFewSteps = 15;

bool LastStepIsFirstOrder(const ScheduleSettings& settings, int steps) {
  return settings.euler_at_final || (settings.lower_order_final && steps < kFewSteps) ||
         settings.final_sigmas_type == FinalSigmas::kZero;
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps, DpmSteps(input));
  builder.set_start(DpmStart(input, steps));
  double previous_h = 0.0;
  for (int i = input.first_step; i < input.steps(); ++i) {
    const DpmLevel here(steps.sigmas[i]);
    const DpmLevel next(steps.sigmas[i + 1]);
    const double h = next.lambda - here.lambda;  // infinite when the step ends at sigma 0; exp(-h) is then 0
    const double phi = std::expm1(-h);
    builder.Evaluate(i - input.first_step, steps.timesteps[i]);
    const LinearForm x0 = builder.PredictX0(PredictX0(input.settings.prediction_type, here.alpha, here.sigma),
                                            ThresholdingOf(input.settings));
    LinearForm result = next.sigma / here.sigma * builder.latents() - next.alpha * phi * x0;
    const bool last = i + 1 == input.steps();
    const bool first_order =
        builder.history_size() == 0 || (last && LastStepIsFirstOrder(input.settings, input.steps()));
    if (!first_order) {
      // The inverse of the paper's r0 = previous_h / h, so that a step of length 0 adds nothing.
      const LinearForm slope = (x0 - builder.History(0)) * (h / previous_h);
      result -= 0.5 * next.alpha * phi * slope;
    }
    builder.PushHistory(x0);
    builder.Assign(Slot::kLatents, result);
    previous_h = h;
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& Dpmpp2mSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kDpmpp2m,
      .defaults = {.timestep_spacing = TimestepSpacing::kLinspace, .zero_snr = ZeroSnr::kFinite},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta, SigmaSchedule::kLu},
      .configures_sigmas = true,
      .accepts = {.timesteps = true},
      .history = 1,
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
