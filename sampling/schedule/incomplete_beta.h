#pragma once
// The regularised incomplete beta function and its inverse, for the "beta" spread of noise levels.

namespace stepcast::sampling {

// I_x(a, b), the cumulative distribution of Beta(a, b) at x. Continued fraction of NIST DLMF 8.17.22, absolute
// error below 1e-13.
// REQUIRES: 0 < a, 0 < b, a + b < 170 (the range of tgamma), 0 <= x <= 1.
double RegularizedIncompleteBeta(double a, double b, double x);

// The x with I_x(a, b) = p: the quantile function of Beta(a, b).
// REQUIRES: as above, 0 <= p <= 1.
double BetaQuantile(double a, double b, double p);

}  // namespace stepcast::sampling
