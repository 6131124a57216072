#pragma once
// The noise levels a model was trained with, and the timesteps that a sampler picks from them.

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/sampling_types.h"
#include "sampling/schedule/class_defaults.h"

namespace stepcast::sampling {

// `count` float32 values from `start` to `end` inclusive, computed as torch.linspace does: with a float32 step,
// forwards in the first half and backwards from `end` in the second. One value: `start`.
std::vector<float> TorchLinspace(double start, double end, int count);

// `count` values from `start` to `end` inclusive as numpy.linspace computes them. One value: `start`.
std::vector<double> NumpyLinspace(double start, double end, int count);

// One noise level per training timestep 0 .. T-1, in the float32 arithmetic of the reference; the cumulative
// product is accumulated in double and rounded to float32 entry by entry.
//
// Immutable. Source of the schedules: DDPM (Ho et al. 2020), latent diffusion, improved DDPM (Nichol & Dhariwal
// 2021); of the zero terminal SNR: Lin et al. 2023, algorithm 1.
class NoiseSchedule {
 public:
  // Errors: INVALID_ARGUMENT when the betas do not make a strictly falling table of cumulative alphas.
  static absl::StatusOr<NoiseSchedule> Create(const ScheduleSettings& settings);

  int num_train_timesteps() const { return static_cast<int>(alphas_cumprod_.size()); }

  // Cumulative alphas; in (0, 1), falling. With zero terminal SNR the last is 0 or, ZeroSnr::kFinite, 2^-24.
  absl::Span<const float> alphas_cumprod() const { return alphas_cumprod_; }

  // sqrt((1 - a) / a) for each cumulative alpha, rising; infinite where it is 0.
  absl::Span<const float> sigmas() const { return sigmas_; }

  // How many timesteps at the noisy end have ln(alpha / sigma) below `lambda`.
  int CountBelowLambda(double lambda) const;

 private:
  explicit NoiseSchedule(std::vector<float> alphas_cumprod);

  std::vector<float> alphas_cumprod_;
  std::vector<float> sigmas_;
};

// How a class turns a spacing into timesteps.
struct SpacingRule {
  TimestepSpacing spacing = TimestepSpacing::kLeading;
  int num_train_timesteps = 1000;
  int steps_offset = 0;      // added by kLeading
  bool fractional = false;   // kLinspace keeps its fractions (Euler and its kin) instead of rounding half to even
  int left_out = 0;          // training timesteps at the noisy end that are not used (lambda_min_clipped)
  bool extra_point = false;  // kLinspace and kLeading place one point more and drop the last (DPM-Solver and UniPC)
};

// `steps` timesteps, falling. Values may reach num_train_timesteps - 1 + steps_offset, and fall below 0 where kTrailing
// has too few timesteps because of `left_out`.
// REQUIRES: steps >= 1.
std::vector<double> SpacedTimesteps(const SpacingRule& rule, int steps);

}  // namespace stepcast::sampling
