#pragma once
// Data whose score is known in closed form, and perfect denoisers of it.

#include <vector>

#include "absl/types/span.h"
#include "sampling/program/sampling_program.h"
#include "sampling/schedule/noise_schedule.h"

namespace stepcast::sampling {

// Points (x, y) of a mixture of two Gaussians on a tilted line. In the turned coordinates u along it and w across it
// the density is a product: u is a mixture of two normals, w is normal.
class GaussianToy {
 public:
  static constexpr double kWeights[2] = {0.3, 0.7};
  static constexpr double kMeans[2] = {-1.3, 0.9};
  static constexpr double kSpreads[2] = {0.25, 0.35};
  static constexpr double kAcross = 0.5;  // standard deviation of w
  static constexpr double kTilt = 0.6;    // radians

  // Moments as the samples below have them.
  struct Moments {
    double mean[2];        // x, y
    double covariance[3];  // xx, xy, yy
    double weight;         // of the mode with the lower u
  };
  static Moments Exact();
  static Moments Of(absl::Span<const float> points);

  // The expected clean point for each of `points` = alpha * clean + sigma * noise.
  static std::vector<float> PosteriorMeans(absl::Span<const float> points, double alpha, double sigma);

  // Where the probability-flow ODE takes each of them: what a perfectly distilled model predicts. Exact, for the ODE of
  // one coordinate keeps quantiles.
  static std::vector<float> FlowEnds(absl::Span<const float> points, double alpha, double sigma);
};

// The level that a fractional timestep means, between entries of the table in ln sigma; variance preserving.
struct ToyLevel {
  double alpha;
  double sigma;
  ToyLevel(const NoiseSchedule& schedule, double timestep);
};

}  // namespace stepcast::sampling
