// UniPC: Zhao et al. 2023, "UniPC: a unified predictor-corrector framework", algorithms 5 to 8. Each step first
// corrects the latents that the last step predicted, with what the denoiser said there, and then predicts the next
// ones: no further evaluation. diffusers: UniPCMultistepScheduler.

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr int kHighestOrder = 3;
using Rhos = std::array<double, kHighestOrder>;

// Solves the first `size` equations sum_k ratios[k]^i * rho[k] = sides[i], by elimination: the ratios differ.
Rhos SolveVandermonde(const Rhos& ratios, const Rhos& sides, int size) {
  std::array<Rhos, kHighestOrder> rows{};
  Rhos rho = sides;
  for (int k = 0; k < size; ++k) {
    for (int i = 0; i < size; ++i) rows[i][k] = std::pow(ratios[k], i);
  }
  for (int pivot = 0; pivot < size; ++pivot) {
    for (int row = 0; row < size; ++row) {
      if (row == pivot) continue;
      const double factor = rows[row][pivot] / rows[pivot][pivot];
      for (int k = 0; k < size; ++k) rows[row][k] -= factor * rows[pivot][k];
      rho[row] -= factor * rho[pivot];
    }
  }
  for (int k = 0; k < size; ++k) rho[k] /= rows[k][k];
  return rho;
}

// One step between two levels, for the predictor and for the corrector.
struct Interval {
  bool predicts_x0;
  bool bh1;
  int order;
  const DpmPoint* from;  // earlier points lie before it in memory
  const DpmPoint* to;

  double Lambda(int age) const { return (from - age)->level.lambda; }
};

// `outputs`: predictions at interval.from and before, newest first, as many as the order; `corrected`: the prediction
// at interval.to, null for the predictor.
LinearForm Advance(const Interval& interval, const LinearForm& latents, const std::vector<LinearForm>& outputs,
                   const LinearForm* corrected) {
  const DpmLevel& from = interval.from->level;
  const DpmLevel& to = interval.to->level;
  const double h = to.lambda - from.lambda;
  if (h == 0.0) return latents;  // the limit; the weights below have no value there
  const double hh = interval.predicts_x0 ? -h : h;
  const double phi_1 = std::expm1(hh);
  const double b_h = interval.bh1 ? hh : phi_1;
  const double scale = interval.predicts_x0 ? to.alpha : to.sigma;
  const double carry = interval.predicts_x0 ? to.sigma / from.sigma : to.alpha / from.alpha;
  const LinearForm& m0 = outputs[0];
  const LinearForm base = carry * latents - scale * phi_1 * m0;
  if (corrected == nullptr && interval.order == 1) return base;  // may end at sigma 0, where b_h may be infinite

  Rhos ratios{};
  Rhos sides{};
  double phi_k = phi_1 / hh - 1.0;
  double factorial = 1.0;
  for (int i = 0; i < interval.order; ++i) {
    ratios[i] = i + 1 < interval.order ? (interval.Lambda(i + 1) - from.lambda) / h : 1.0;
    sides[i] = phi_k * factorial / b_h;
    factorial *= i + 2;
    phi_k = phi_k / hh - 1.0 / factorial;
  }
  // The lowest orders take the paper's simpler weights.
  Rhos rho = {0.5};
  if (corrected != nullptr && interval.order >= 2) rho = SolveVandermonde(ratios, sides, interval.order);
  if (corrected == nullptr && interval.order >= 3) rho = SolveVandermonde(ratios, sides, interval.order - 1);

  LinearForm residual;
  for (int k = 0; k + 1 < interval.order; ++k) residual += rho[k] * (outputs[k + 1] - m0) / ratios[k];
  if (corrected != nullptr) residual += rho[interval.order - 1] * (*corrected - m0);
  return base - scale * b_h * residual;
}

// Opens evaluation `i` and states x0. Returns what the method interpolates: x0, or the noise.
LinearForm Predict(const SamplerInput& input, const DpmPoint& point, int i, ProgramBuilder& builder) {
  builder.Evaluate(i - input.first_step, point.timestep);
  builder.SetLevel(point.level.mix());
  if (input.settings.predict_x0) return builder.PredictX0(point.x0, ThresholdingOf(input.settings));
  builder.PredictX0(point.x0);
  return builder.Combine(PredictNoise(input.settings.prediction_type, point.level.alpha, point.level.sigma));
}

std::vector<LinearForm> History(const ProgramBuilder& builder) {
  std::vector<LinearForm> history;
  for (int age = 0; age < builder.history_size(); ++age) history.push_back(builder.History(age));
  return history;
}

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  const ScheduleSettings& settings = input.settings;
  STEPCAST_ASSIGN_OR_RETURN(const int highest, SolverOrder(input));
  STEPCAST_ASSIGN_OR_RETURN(const SigmaSteps steps, DpmSteps(input, {.always_rounds = true,
                                                                     .own_last_sigma = true,
                                                                     .has_lambda_min = false,
                                                                     .final_sigmas = settings.final_sigmas_type}));
  const std::vector<DpmPoint> points = DpmPoints(input, steps);
  const std::vector<int>& disabled = settings.disable_corrector;

  builder.set_start(DpmStart(input, steps));
  builder.set_history(highest);
  Interval interval{settings.predict_x0, settings.solver_type == SolverType::kBh1, 0, nullptr, nullptr};
  for (int i = input.first_step; i < input.steps(); ++i) {
    const LinearForm output = Predict(input, points[i], i, builder);
    std::vector<LinearForm> outputs = History(builder);
    LinearForm latents = builder.latents();
    if (!outputs.empty() && std::find(disabled.begin(), disabled.end(), i - 1) == disabled.end()) {
      latents = Advance(interval, builder.Value(Slot::kSaved), outputs, &output);
    }
    interval.order = std::min(highest, static_cast<int>(outputs.size()) + 1);
    if (settings.lower_order_final) interval.order = std::min(interval.order, input.steps() - i);
    interval.from = &points[i];
    interval.to = &points[i + 1];
    outputs.insert(outputs.begin(), output);
    builder.PushHistory(output);
    builder.Assign(Slot::kSaved, latents);
    builder.Assign(Slot::kLatents, Advance(interval, latents, outputs, nullptr));
  }
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& UnipcSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kUnipc,
      .defaults = {.scheduler_class = "UniPCMultistepScheduler",
                   .timestep_spacing = TimestepSpacing::kLinspace,
                   .zero_snr = ZeroSnr::kFinite},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                          SigmaSchedule::kBeta},
      .configures_sigmas = true,
      .accepts = {.max_solver_order = 3},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
