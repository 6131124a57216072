#pragma once
// How a sampler in sigma space spreads noise levels over its steps, and which timestep a noise level belongs to.

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/sampling_types.h"
#include "sampling/schedule/class_defaults.h"
#include "sampling/schedule/noise_schedule.h"

namespace stepcast::sampling {

// `steps` noise levels from `sigma_max` down to `sigma_min`; one step: `sigma_max`.
struct SigmaRange {
  double sigma_min = 0.0;
  double sigma_max = 0.0;
};

// Even in sigma^(1/rho): Karras et al. 2022, equation 5.
std::vector<double> KarrasSigmas(SigmaRange range, int steps, double rho = 7.0);

// Even in ln sigma.
std::vector<double> ExponentialSigmas(SigmaRange range, int steps);

// Even in lambda = -ln sigma, from the float32 logarithms of the ends: Lu et al. 2022, "DPM-Solver".
std::vector<double> LuSigmas(SigmaRange range, int steps);

// Quantiles of Beta(0.6, 0.6): Lee et al. 2024, "Beta sampling is all you need".
std::vector<double> BetaSigmas(SigmaRange range, int steps);

// The value of `table` at the fractional index `t`, linear between entries and constant outside.
double InterpolateTable(absl::Span<const float> table, double t);

// The fractional training timestep of a noise level: linear in ln sigma between the entries of a rising table.
class SigmaToTimestep {
 public:
  // REQUIRES: at least two sigmas.
  explicit SigmaToTimestep(absl::Span<const float> sigmas);

  double operator()(double sigma) const;

 private:
  std::vector<float> log_sigmas_;
};

// What a sigma-space sampler steps through.
struct SigmaSteps {
  std::vector<float> timesteps;  // n, falling; told to the denoiser
  std::vector<float> sigmas;     // n + 1; the last is where the last step ends, 0 or the smallest of the table
};

// How one diffusers class family spreads its steps.
struct SigmaStepsRule {
  SpacingRule spacing = {};
  SigmaSchedule schedule = SigmaSchedule::kDefault;
  FinalSigmas final_sigmas = FinalSigmas::kZero;
  bool log_linear = false;      // levels even in ln sigma over the whole table, n + 1 of them: the last step ends there
  bool own_last_sigma = false;  // kSigmaMin repeats the last level of Karras and its kin, not the table's smallest
  bool table_ends = false;      // Karras and its kin span the whole table (DPM-Solver), not the spaced sigmas (Euler)
  bool integer_timesteps = false;                  // DPM-Solver tells the denoiser whole timesteps
  bool round_karras = false;                       // Karras and Lu round to them; otherwise they are cut off
  std::optional<double> sigma_min = std::nullopt;  // override the ends (Euler)
  std::optional<double> sigma_max = std::nullopt;
};

// Spreads `steps` steps over the noise levels of `schedule`.
// Errors: INVALID_ARGUMENT when the levels do not fall from a positive start to the end.
// REQUIRES: steps >= 1.
absl::StatusOr<SigmaSteps> SpreadSigmas(const NoiseSchedule& schedule, const SigmaStepsRule& rule, int steps);

// The request's own steps: noise levels of the timesteps of a list, fractional ones between entries of the table; or
// the list's noise levels themselves, the last of which ends the last step. The rule's spacing and schedule do not
// count. REQUIRES: strictly falling lists as Compile checks them, not empty, at least two sigmas.
// Errors: INVALID_ARGUMENT naming `timesteps` or `sigmas`, where a class with whole timesteps gets fractions or a
// table with infinite sigmas cannot place the levels.
absl::StatusOr<SigmaSteps> ExplicitTimesteps(const NoiseSchedule& schedule, const SigmaStepsRule& rule,
                                             absl::Span<const double> timesteps);
absl::StatusOr<SigmaSteps> ExplicitSigmas(const NoiseSchedule& schedule, const SigmaStepsRule& rule,
                                          absl::Span<const double> sigmas);

}  // namespace stepcast::sampling
