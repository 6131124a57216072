// DEIS, log-rho multistep: Zhang & Chen 2022, "Fast sampling of diffusion models with exponential integrator", section
// 3.3. The noise is a polynomial in ln rho, rho = sigma / alpha, through the last predictions, integrated exactly.
// diffusers: DEISMultistepScheduler.

#include <array>
#include <cmath>
#include <vector>

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr int kFewSteps = 15;

// Integral of (ln t - ln c) / (ln b - ln c) up to t = exp(log_t).
double LinearIntegral(double log_t, double log_b, double log_c) {
  return std::exp(log_t) * (log_t - log_c - 1.0) / (log_b - log_c);
}

// Integral of (ln t - ln c)(ln t - ln d) / ((ln b - ln c)(ln b - ln d)) up to t = exp(log_t).
double QuadraticIntegral(double log_t, double log_b, double log_c, double log_d) {
  const double numerator = log_t * log_t - (log_c + log_d + 2.0) * log_t + log_c * log_d + log_c + log_d + 2.0;
  return std::exp(log_t) * numerator / ((log_b - log_c) * (log_b - log_d));
}

// Weights of the predictions at levels[1], levels[2], .., for the way from levels[1] to levels[0]; ln rho of each.
std::vector<double> Weights(const std::vector<double>& levels) {
  const double to = levels[0];
  const double from = levels[1];
  if (levels.size() == 2) return {std::exp(to) - std::exp(from)};
  if (levels.size() == 3) {
    const double s0 = levels[1], s1 = levels[2];
    return {LinearIntegral(to, s0, s1) - LinearIntegral(from, s0, s1),
            LinearIntegral(to, s1, s0) - LinearIntegral(from, s1, s0)};
  }
  const double s0 = levels[1], s1 = levels[2], s2 = levels[3];
  return {QuadraticIntegral(to, s0, s1, s2) - QuadraticIntegral(from, s0, s1, s2),
          QuadraticIntegral(to, s1, s2, s0) - QuadraticIntegral(from, s1, s2, s0),
          QuadraticIntegral(to, s2, s0, s1) - QuadraticIntegral(from, s2, s0, s1)};
}

int Order(const SamplerInput& input, int highest, int step, int history) {
  int order = std::min(highest, history + 1);
  const bool lowers = input.settings.lower_order_final && input.steps() < kFewSteps;
  return lowers ? std::min(order, input.steps() - step) : order;
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const int highest, SolverOrder(input));
  // The class has no final_sigmas_type: the noise has no finite form at sigma 0.
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps, DpmSteps(input, {.always_rounds = true,
                                                                     .own_last_sigma = true,
                                                                     .has_lambda_min = false,
                                                                     .final_sigmas = FinalSigmas::kSigmaMin}));
  const std::vector<DpmPoint> points = DpmPoints(input, steps);

  builder.set_start(DpmStart(input, steps));
  builder.set_history(highest - 1);
  for (int i = input.first_step; i < input.steps(); ++i) {
    const DpmLevel& here = points[i].level;
    const DpmLevel& to = points[i + 1].level;
    builder.Evaluate(i - input.first_step, points[i].timestep);
    builder.SetLevel(here.mix());
    const LinearForm x0 = builder.PredictX0(points[i].x0, ThresholdingOf(input.settings));
    const LinearForm noise = (builder.latents() - here.alpha * x0) / here.sigma;

    const int order = Order(input, highest, i, builder.history_size());
    std::vector<double> levels = {-to.lambda};
    for (int age = 0; age < order; ++age) levels.push_back(-points[i - age].level.lambda);
    const std::vector<double> weights = Weights(levels);
    LinearForm next = builder.latents() / here.alpha + weights[0] * noise;
    for (int age = 1; age < order; ++age) next += weights[age] * builder.History(age - 1);
    builder.PushHistory(noise);
    builder.Assign(Slot::kLatents, to.alpha * next);
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& DeisSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kDeis,
      .defaults = {.scheduler_class = "DEISMultistepScheduler",
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kUnknown},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .accepts = {.max_solver_order = 3},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
