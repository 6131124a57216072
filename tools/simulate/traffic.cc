#include "tools/simulate/traffic.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <numeric>

namespace stepcast::simulate {

uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::Exponential() { return -std::log1p(-Uniform()); }

double Random::Normal() {
  const double radius = std::sqrt(2.0 * Exponential());
  return radius * std::cos(2.0 * std::numbers::pi * Uniform());
}

// Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (2000).
double Random::Gamma(double shape) {
  if (shape < 1.0) return Gamma(shape + 1.0) * std::pow(1.0 - Uniform(), 1.0 / shape);
  const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  while (true) {
    const double x = Normal();
    const double v = std::pow(1.0 + c * x, 3.0);
    if (v <= 0.0) continue;
    if (std::log1p(-Uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

std::vector<Arrival> MakeTraffic(const TrafficOptions& options) {
  Random random(options.seed);
  std::vector<Arrival> arrivals;
  arrivals.reserve(static_cast<size_t>(options.arrivals));
  double seconds = 0.0;
  for (int i = 0; i < options.arrivals; ++i) {
    const double gap =
        options.burstiness == 1.0 ? random.Exponential() : random.Gamma(1.0 / options.burstiness) * options.burstiness;
    seconds += gap / options.rate;
    Arrival arrival = options.pattern;
    // In whole microseconds, so that a last bit of log() cannot reorder two events.
    arrival.at = absl::Microseconds(std::llround(seconds * 1e6));
    arrival.steps = options.steps[static_cast<size_t>(random.Below(static_cast<int>(options.steps.size())))];
    arrivals.push_back(std::move(arrival));
  }
  return arrivals;
}

std::vector<Arrival> Merge(const std::vector<Arrival>& a, const std::vector<Arrival>& b) {
  std::vector<Arrival> merged;
  merged.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(merged),
             [](const Arrival& x, const Arrival& y) { return x.at < y.at; });
  return merged;
}

double RateAt(const Device& device, double load, const std::vector<int>& steps) {
  const double mean = std::accumulate(steps.begin(), steps.end(), 0.0) / static_cast<double>(steps.size());
  return load * 8.0 / (mean * TickSeconds(device, 8));
}

}  // namespace stepcast::simulate
