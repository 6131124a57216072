// DPM-Solver++(2S) and (3S): Lu et al. 2022, "DPM-Solver++", algorithm 1: groups of steps that start over from the
// latents of their first. diffusers: DPMSolverSinglestepScheduler.

#include <algorithm>
#include <vector>

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

// The order of each step: 1, 2, .., order, 1, 2, ..; what is left over at the end counts up too, and with
// lower_order_final a last whole group ends with 1 instead of `order`.
std::vector<int> Orders(int steps, int order, const ScheduleSettings& settings) {
  const bool ends_at_zero = settings.final_sigmas_type == FinalSigmas::kZero;
  const bool lower_order_final = settings.lower_order_final || steps % order != 0 || ends_at_zero;
  std::vector<int> orders;
  for (int i = 0; i < steps; ++i) orders.push_back(i % order + 1);
  if (ends_at_zero || (lower_order_final && steps % order == 0)) orders.back() = 1;
  return orders;
}

// A step of order 2 or 3 goes from level `from`, `order` - 1 steps back, to `to`. Lengths are relative to that.
LinearForm Step(const DpmSolver& solver, const DpmPoint* from, int order, const std::vector<LinearForm>& outputs,
                const LinearForm& saved) {
  const DpmLevel& to = from[order].level;
  const DpmWeights weights(from[0].level, to, solver.sde);
  // outputs: newest first; m is the prediction at `from`.
  const LinearForm& m = outputs[order - 1];
  LinearForm next = weights.carry * saved + weights.x0 * m;
  if (order == 1) return next;
  const double h = to.lambda - from[0].level.lambda;
  const double newest = (from[order - 1].level.lambda - from[0].level.lambda) / h;
  const LinearForm slope = (outputs[0] - m) / newest;
  if (order == 2) return next += (solver.heun ? weights.heun : weights.midpoint) * slope;
  if (!solver.heun) return next += weights.heun * slope;
  const double middle = (from[1].level.lambda - from[0].level.lambda) / h;
  const LinearForm older = (outputs[1] - m) / middle;
  next += weights.heun * (newest * older - middle * slope) / (newest - middle);
  return next += weights.second * 2.0 * (slope - older) / (newest - middle);
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const DpmSolver solver, SolverOf(input));
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps,
                            DpmSteps(input, {.always_rounds = true, .final_sigmas = input.settings.final_sigmas_type}));
  const std::vector<DpmPoint> points = DpmPoints(input, steps);
  const std::vector<int> orders = Orders(input.steps(), solver.order, input.settings);

  builder.set_start(DpmStart(input, steps));
  builder.set_history(solver.order - 1);
  for (int i = input.first_step; i < input.steps(); ++i) {
    builder.Evaluate(i - input.first_step, points[i].timestep);
    builder.SetLevel(points[i].level.mix());
    const LinearForm x0 = builder.PredictX0(points[i].x0, ThresholdingOf(input.settings));
    std::vector<LinearForm> outputs = {x0};
    for (int age = 0; age < builder.history_size(); ++age) outputs.push_back(builder.History(age));
    // Image-to-image may begin within a group, whose earlier steps are missing.
    const int order = std::min(orders[i], static_cast<int>(outputs.size()));
    if (order == 1) builder.Assign(Slot::kSaved, builder.latents());
    LinearForm next = Step(solver, &points[i - order + 1], order, outputs, builder.Value(Slot::kSaved));
    if (solver.sde) {
      const DpmWeights weights(points[i - order + 1].level, points[i + 1].level, true);
      next += weights.noise * builder.DrawNoise();
    }
    builder.PushHistory(x0);
    builder.Assign(Slot::kLatents, next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& DpmppSinglestepSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kDpmppSinglestep,
      .defaults = {.scheduler_class = "DPMSolverSinglestepScheduler",
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .lower_order_final = false,
                   .zero_snr = ZeroSnr::kUnknown,
                   .has_spacing = false},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .accepts = {.max_solver_order = 3, .timesteps = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
