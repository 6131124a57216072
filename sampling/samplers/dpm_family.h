#pragma once
// What the DPM-Solver samplers share: noise levels in sigma space, latents in the model's own space, and the update of
// DPM-Solver++ from one level to another. Sources: Lu et al. 2022, "DPM-Solver" and "DPM-Solver++".

#include <vector>

#include "absl/status/statusor.h"
#include "sampling/samplers/sampler.h"
#include "sampling/schedule/sigma_schedule.h"

namespace stepcast::sampling {

// A noise level: latents = alpha * x0 + sigma * noise.
struct DpmLevel {
  double alpha = 1.0;
  double sigma = 0.0;
  double lambda = 0.0;  // ln alpha - ln sigma; infinite at sigma 0

  // Variance-preserving, alpha^2 + sigma^2 = 1.
  explicit DpmLevel(double sigma_space_sigma);
  // alpha 1.
  static DpmLevel VarianceExploding(double sigma);

  Level mix() const { return {static_cast<float>(alpha), static_cast<float>(sigma)}; }
};

// Where a class spreads its steps otherwise than DPMSolverMultistepScheduler.
struct DpmStepsRule {
  bool always_rounds = false;   // Karras timesteps, with squaredcos_cap_v2 betas too
  bool own_last_sigma = false;  // SigmaStepsRule
  bool has_lambda_min = true;   // the class reads lambda_min_clipped
  FinalSigmas final_sigmas = FinalSigmas::kZero;
};

// Steps of the DPM-Solver classes: n + 1 points without the last, whole timesteps.
absl::StatusOr<SigmaSteps> DpmSteps(const SamplerInput& input, const DpmStepsRule& rule);

// Noise, or the image with the noise of the first level.
Start DpmStart(const SamplerInput& input, const SigmaSteps& steps);

// Where an update starts or ends, and how the denoiser is asked there.
struct DpmPoint {
  DpmLevel level;
  double timestep = 0.0;
  double input_scale = 1.0;
  PredictionForm x0 = {};
};

// The points of `steps` in variance-preserving form: one per step, and the last level.
std::vector<DpmPoint> DpmPoints(const SamplerInput& input, const SigmaSteps& steps);

// How DPM-Solver++ solves.
struct DpmSolver {
  int order = 2;      // 1 .. 3
  bool heun = false;  // SolverType::kHeun, else kMidpoint
  bool sde = false;   // draws noise at every step
};

// sampler_options.solver_order, else the model's solver_order. Errors: INVALID_ARGUMENT unless it is 1 .. 3.
absl::StatusOr<int> SolverOrder(const SamplerInput& input);

// The solver that the request and the model's solver_order, solver_type and algorithm_type ask for. Types of other
// classes mean midpoint, "deis" means dpmsolver++.
// Errors: INVALID_ARGUMENT for orders outside 1 .. 3 and for the algorithms that solve in the noise ("dpmsolver",
// "sde-dpmsolver").
absl::StatusOr<DpmSolver> SolverOf(const SamplerInput& input);

// Weights of an update from level `from` to level `to`; the differences D1 and D2 of x0 predictions are the caller's:
//   latents' = carry * latents + x0 * m0 + first * D1 + second * D2 + noise * normals
// A step of length 0 keeps the latents.
struct DpmWeights {
  double carry = 0.0;
  double x0 = 0.0;
  double midpoint = 0.0;  // `first` of an order-2 midpoint solver
  double heun = 0.0;      // `first` otherwise
  double second = 0.0;
  double noise = 0.0;

  DpmWeights(const DpmLevel& from, const DpmLevel& to, bool sde);
};

// Builds the steps of a multistep DPM-Solver++ over `points`. Order rule: DPMSolverMultistepScheduler.
void BuildMultistep(const SamplerInput& input, const std::vector<DpmPoint>& points, const DpmSolver& solver,
                    ProgramBuilder& builder);

// DPMSolverMultistepScheduler with `solver`: steps, start and BuildMultistep.
absl::Status BuildDpmMultistep(const SamplerInput& input, const DpmSolver& solver, ProgramBuilder& builder);

// The definition of a sampler that stands for that class.
SamplerDefinition DpmMultistepDefinition(Sampler sampler,
                                         absl::Status (*build)(const SamplerInput& input, ProgramBuilder& builder));

}  // namespace stepcast::sampling
