#include "sampling/schedule/incomplete_beta.h"

#include <cmath>
#include <initializer_list>

namespace stepcast::sampling {
namespace {

constexpr double kTiny = 1e-300;
constexpr double kPrecision = 1e-16;

// Lentz's method; a zero denominator is replaced by a tiny one.
double ContinuedFraction(double a, double b, double x) {
  constexpr int kMaxIterations = 300;
  double c = 1.0;
  double d = 1.0 - (a + b) * x / (a + 1.0);
  d = 1.0 / (std::abs(d) < kTiny ? kTiny : d);
  double result = d;
  for (int m = 1; m <= kMaxIterations; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0));
    double factor = 1.0;
    for (const double numerator : {even, odd}) {
      d = 1.0 + numerator * d;
      d = 1.0 / (std::abs(d) < kTiny ? kTiny : d);
      c = 1.0 + numerator / c;
      if (std::abs(c) < kTiny) c = kTiny;
      factor = c * d;
      result *= factor;
    }
    if (std::abs(factor - 1.0) < kPrecision) break;
  }
  return result;
}

}  // namespace

double RegularizedIncompleteBeta(double a, double b, double x) {
  if (x <= 0.0) return 0.0;
  if (x >= 1.0) return 1.0;
  // The fraction converges fast only below the mean; above it, the symmetry I_x(a, b) = 1 - I_{1-x}(b, a) helps.
  if (x > (a + 1.0) / (a + b + 2.0)) return 1.0 - RegularizedIncompleteBeta(b, a, 1.0 - x);
  // tgamma, not lgamma: the latter writes the global signgam, a data race.
  const double front =
      std::tgamma(a + b) / (std::tgamma(a) * std::tgamma(b) * a) * std::pow(x, a) * std::pow(1.0 - x, b);
  return front * ContinuedFraction(a, b, x);
}

double BetaQuantile(double a, double b, double p) {
  if (p <= 0.0) return 0.0;
  if (p >= 1.0) return 1.0;
  // Bisection: monotone and immune to the infinite slopes at 0 and 1. 60 halvings exhaust a double in [0, 1].
  double low = 0.0;
  double high = 1.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (RegularizedIncompleteBeta(a, b, middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace stepcast::sampling
