#include "sampling/samplers/dpm_family.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_format.h"
#include "core/status_macros.h"

namespace stepcast::sampling {
namespace {

constexpr int kHighestOrder = 3;

// Below this many steps lower_order_final ends with steps of lower order (diffusers' constant).
constexpr int kFewSteps = 15;

int MultistepOrder(const SamplerInput& input, const DpmSolver& solver, int step, int history) {
  const ScheduleSettings& settings = input.settings;
  const int left = input.steps() - step;
  const bool few = settings.lower_order_final && input.steps() < kFewSteps;
  const bool last_is_first_order = few || settings.euler_at_final || settings.final_sigmas_type == FinalSigmas::kZero;
  if (solver.order == 1 || history == 0 || (left == 1 && last_is_first_order)) return 1;
  if (solver.order == 2 || history == 1 || (left == 2 && few)) return 2;
  return 3;
}

}  // namespace

DpmLevel::DpmLevel(double sigma_space_sigma)
    : alpha(1.0 / std::sqrt(sigma_space_sigma * sigma_space_sigma + 1.0)),
      sigma(sigma_space_sigma * alpha),
      lambda(std::log(alpha) - std::log(sigma)) {}

DpmLevel DpmLevel::VarianceExploding(double sigma) {
  DpmLevel level(sigma);
  level.alpha = 1.0;
  level.sigma = sigma;
  level.lambda = -std::log(sigma);
  return level;
}

absl::StatusOr<SigmaSteps> DpmSteps(const SamplerInput& input, const DpmStepsRule& rule) {
  const ScheduleSettings& settings = input.settings;
  // Lu's levels know no other ends than the table's.
  const bool other_ends = settings.sigma_schedule != SigmaSchedule::kLu;
  const int left_out = rule.has_lambda_min ? input.schedule.CountBelowLambda(settings.lambda_min_clipped) : 0;
  const SigmaStepsRule steps_rule{
      .spacing = {.spacing = settings.timestep_spacing,
                  .num_train_timesteps = settings.num_train_timesteps,
                  .steps_offset = settings.steps_offset,
                  .left_out = left_out,
                  .extra_point = true},
      .schedule = settings.sigma_schedule,
      .final_sigmas = rule.final_sigmas,
      .own_last_sigma = rule.own_last_sigma,
      .table_ends = true,
      .integer_timesteps = true,
      .round_karras = rule.always_rounds || settings.beta_schedule != BetaSchedule::kSquaredCosCapV2,
      .sigma_min = other_ends ? settings.sigma_min : std::nullopt,
      .sigma_max = other_ends ? settings.sigma_max : std::nullopt,
  };
  if (!input.spec.timesteps.empty()) return ExplicitTimesteps(input.schedule, steps_rule, input.spec.timesteps);
  return SpreadSigmas(input.schedule, steps_rule, input.steps());
}

Start DpmStart(const SamplerInput& input, const SigmaSteps& steps) {
  if (!input.from_image()) return {0.0f, 1.0f};
  return DpmLevel(steps.sigmas[input.first_step]).mix();
}

std::vector<DpmPoint> DpmPoints(const SamplerInput& input, const SigmaSteps& steps) {
  std::vector<DpmPoint> points;
  points.reserve(steps.sigmas.size());
  for (size_t i = 0; i < steps.timesteps.size(); ++i) {
    const DpmLevel level(steps.sigmas[i]);
    points.push_back({.level = level,
                      .timestep = steps.timesteps[i],
                      .x0 = PredictX0(input.settings.prediction_type, level.alpha, level.sigma)});
  }
  points.push_back({.level = DpmLevel(steps.sigmas.back())});
  return points;
}

absl::StatusOr<int> SolverOrder(const SamplerInput& input) {
  const std::optional<int> wanted = input.spec.options.solver_order;
  const int order = wanted.value_or(input.settings.solver_order);
  if (order >= 1 && order <= kHighestOrder) return order;
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s: got %d; %s allows 1 to %d", wanted ? "sampler_options.solver_order" : "scheduler_config.json: solver_order",
      order, SamplerName(input.spec.sampler), kHighestOrder));
}

absl::StatusOr<DpmSolver> SolverOf(const SamplerInput& input) {
  DpmSolver solver;
  STEPCAST_ASSIGN_OR_RETURN(solver.order, SolverOrder(input));
  solver.heun = input.settings.solver_type == SolverType::kHeun;
  switch (input.settings.algorithm_type) {
    case SolverAlgorithm::kSdeDpmSolverPlusPlus:
      solver.sde = true;
      return solver;
    case SolverAlgorithm::kDpmSolverPlusPlus:
    case SolverAlgorithm::kDeis:
      return solver;
    case SolverAlgorithm::kDpmSolver:
    case SolverAlgorithm::kSdeDpmSolver:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("scheduler_config.json: algorithm_type is %s; %s knows dpmsolver++ and sde-dpmsolver++",
                      SolverAlgorithmName(input.settings.algorithm_type), SamplerName(input.spec.sampler)));
}

DpmWeights::DpmWeights(const DpmLevel& from, const DpmLevel& to, bool sde) {
  const double h = to.lambda - from.lambda;  // infinite when the step ends at sigma 0; exp(-h) is then 0
  carry = to.sigma / from.sigma;
  if (h == 0.0) return;  // phi / h has a limit, but no value
  const double length = sde ? 2.0 * h : h;
  const double phi = std::expm1(-length);
  x0 = -to.alpha * phi;
  midpoint = 0.5 * x0;
  heun = to.alpha * (phi / length + 1.0);
  if (!sde) {
    second = -to.alpha * ((phi + h) / (h * h) - 0.5);
    return;
  }
  carry *= std::exp(-h);
  second = to.alpha * ((-phi - length) / (length * length) - 0.5);
  noise = to.sigma * std::sqrt(std::max(-phi, 0.0));  // rounding may take h just below 0 where levels are equal
}

void BuildMultistep(const SamplerInput& input, const std::vector<DpmPoint>& points, const DpmSolver& solver,
                    ProgramBuilder& builder) {
  builder.set_history(solver.order - 1);
  for (int i = input.first_step; i < input.steps(); ++i) {
    const DpmPoint& point = points[i];
    builder.Evaluate(i - input.first_step, point.timestep, point.input_scale);
    builder.SetLevel(point.level.mix());
    const LinearForm m0 = builder.PredictX0(point.x0, ThresholdingOf(input.settings));
    const DpmWeights weights(point.level, points[i + 1].level, solver.sde);
    LinearForm next = weights.carry * builder.latents() + weights.x0 * m0;
    if (solver.sde) next += weights.noise * builder.DrawNoise();

    // Differences over lengths relative to this step's, written so that a step of length 0 adds nothing.
    const int order = MultistepOrder(input, solver, i, builder.history_size());
    const double h = points[i + 1].level.lambda - point.level.lambda;
    if (order >= 2) {
      const double h0 = point.level.lambda - points[i - 1].level.lambda;
      const LinearForm newer = (m0 - builder.History(0)) * (h / h0);
      if (order == 2) {
        next += (solver.heun ? weights.heun : weights.midpoint) * newer;
      } else {
        const double h1 = points[i - 1].level.lambda - points[i - 2].level.lambda;
        const LinearForm older = (builder.History(0) - builder.History(1)) * (h / h1);
        const LinearForm change = newer - older;
        next += weights.heun * (newer + h0 / (h0 + h1) * change);
        next += weights.second * (h / (h0 + h1)) * change;
      }
    }
    builder.PushHistory(m0);
    builder.Assign(Slot::kLatents, next);
  }
}

absl::Status BuildDpmMultistep(const SamplerInput& input, const DpmSolver& solver, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps,
                            DpmSteps(input, {.final_sigmas = input.settings.final_sigmas_type}));
  builder.set_start(DpmStart(input, steps));
  BuildMultistep(input, DpmPoints(input, steps), solver, builder);
  return absl::OkStatus();
}

SamplerDefinition DpmMultistepDefinition(Sampler sampler,
                                         absl::Status (*build)(const SamplerInput& input, ProgramBuilder& builder)) {
  return {
      .sampler = sampler,
      .defaults = {.scheduler_class = "DPMSolverMultistepScheduler",
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kFinite},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta, SigmaSchedule::kLu},
      .configures_sigmas = true,
      .accepts = {.max_solver_order = kHighestOrder, .timesteps = true},
      .build = build,
  };
}

}  // namespace stepcast::sampling
