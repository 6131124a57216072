#include "tests/sampling/gaussian_toy.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace stepcast::sampling {
namespace {

const double kCos = std::cos(GaussianToy::kTilt);
const double kSin = std::sin(GaussianToy::kTilt);

// Applies `along` to u and `across` to w of every point.
template <typename Along, typename Across>
std::vector<float> Turned(absl::Span<const float> points, Along along, Across across) {
  std::vector<float> result(points.size());
  for (size_t i = 0; i < points.size(); i += 2) {
    const double u = along(kCos * points[i] + kSin * points[i + 1]);
    const double w = across(-kSin * points[i] + kCos * points[i + 1]);
    result[i] = static_cast<float>(kCos * u - kSin * w);
    result[i + 1] = static_cast<float>(kSin * u + kCos * w);
  }
  return result;
}

double NormalCdf(double z) { return 0.5 * std::erfc(-z * M_SQRT1_2); }

// Of u * alpha + sigma * noise.
double Cdf(double u, double alpha, double sigma) {
  double sum = 0.0;
  for (int k = 0; k < 2; ++k) {
    const double spread = std::hypot(alpha * GaussianToy::kSpreads[k], sigma);
    sum += GaussianToy::kWeights[k] * NormalCdf((u - alpha * GaussianToy::kMeans[k]) / spread);
  }
  return sum;
}

// A rising function on a grid, for its values and those of its inverse.
class Monotone {
 public:
  Monotone(double low, double high, int count, const std::function<double(double)>& function) {
    for (int i = 0; i < count; ++i) {
      at_.push_back(low + (high - low) * i / (count - 1));
      values_.push_back(function(at_.back()));
    }
  }

  double Value(double x) const { return Between(at_, values_, x); }
  double Inverse(double y) const { return Between(values_, at_, y); }

 private:
  static double Between(const std::vector<double>& from, const std::vector<double>& to, double x) {
    const size_t i =
        std::clamp<size_t>(std::lower_bound(from.begin(), from.end(), x) - from.begin(), 1, from.size() - 1);
    const double width = from[i] - from[i - 1];
    const double weight = width > 0.0 ? std::clamp((x - from[i - 1]) / width, 0.0, 1.0) : 0.0;
    return to[i - 1] + weight * (to[i] - to[i - 1]);
  }

  std::vector<double> at_;
  std::vector<double> values_;
};

}  // namespace

GaussianToy::Moments GaussianToy::Exact() {
  double mean = 0.0;
  double square = 0.0;
  for (int k = 0; k < 2; ++k) {
    mean += kWeights[k] * kMeans[k];
    square += kWeights[k] * (kMeans[k] * kMeans[k] + kSpreads[k] * kSpreads[k]);
  }
  const double along = square - mean * mean;
  const double across = kAcross * kAcross;
  return {{kCos * mean, kSin * mean},
          {kCos * kCos * along + kSin * kSin * across, kCos * kSin * (along - across),
           kSin * kSin * along + kCos * kCos * across},
          Cdf(0.5 * (kMeans[0] + kMeans[1]), 1.0, 0.0)};
}

GaussianToy::Moments GaussianToy::Of(absl::Span<const float> points) {
  Moments moments{};
  const double n = static_cast<double>(points.size() / 2);
  for (size_t i = 0; i < points.size(); i += 2) {
    moments.mean[0] += points[i] / n;
    moments.mean[1] += points[i + 1] / n;
    if (kCos * points[i] + kSin * points[i + 1] < 0.5 * (kMeans[0] + kMeans[1])) moments.weight += 1.0 / n;
  }
  for (size_t i = 0; i < points.size(); i += 2) {
    const double x = points[i] - moments.mean[0];
    const double y = points[i + 1] - moments.mean[1];
    moments.covariance[0] += x * x / n;
    moments.covariance[1] += x * y / n;
    moments.covariance[2] += y * y / n;
  }
  return moments;
}

std::vector<float> GaussianToy::PosteriorMeans(absl::Span<const float> points, double alpha, double sigma) {
  // Per mode: the posterior weight's logarithm, up to a constant, and the posterior mean.
  double spread2[2];
  double log_weight[2];
  for (int k = 0; k < 2; ++k) {
    spread2[k] = alpha * alpha * kSpreads[k] * kSpreads[k] + sigma * sigma;
    log_weight[k] = std::log(kWeights[k]) - 0.5 * std::log(spread2[k]);
  }
  const auto along = [&](double u) {
    double logs[2];
    double means[2];
    for (int k = 0; k < 2; ++k) {
      const double off = u - alpha * kMeans[k];
      logs[k] = log_weight[k] - 0.5 * off * off / spread2[k];
      means[k] = kMeans[k] + alpha * kSpreads[k] * kSpreads[k] / spread2[k] * off;
    }
    const double share = 1.0 / (1.0 + std::exp(logs[1] - logs[0]));
    return share * means[0] + (1.0 - share) * means[1];
  };
  const double across = alpha * kAcross * kAcross / (alpha * alpha * kAcross * kAcross + sigma * sigma);
  return Turned(points, along, [&](double w) { return across * w; });
}

std::vector<float> GaussianToy::FlowEnds(absl::Span<const float> points, double alpha, double sigma) {
  const double reach = 2.5 * alpha + 6.0 * sigma;
  const Monotone noisy(-reach, reach, 8000, [&](double u) { return Cdf(u, alpha, sigma); });
  const Monotone clean(-3.5, 3.5, 8000, [](double u) { return Cdf(u, 1.0, 0.0); });
  const double across = kAcross / std::hypot(alpha * kAcross, sigma);
  return Turned(points, [&](double u) { return clean.Inverse(noisy.Value(u)); }, [&](double w) { return across * w; });
}

ToyLevel::ToyLevel(const NoiseSchedule& schedule, double timestep) {
  const absl::Span<const float> sigmas = schedule.sigmas();
  const double t = std::clamp(timestep, 0.0, static_cast<double>(sigmas.size() - 1));
  const auto low = static_cast<size_t>(t);
  const size_t high = std::min(low + 1, sigmas.size() - 1);
  const double weight = t - static_cast<double>(low);
  const double ratio = std::exp((1.0 - weight) * std::log(sigmas[low]) + weight * std::log(sigmas[high]));
  alpha = 1.0 / std::hypot(ratio, 1.0);
  sigma = ratio * alpha;
}

}  // namespace stepcast::sampling
