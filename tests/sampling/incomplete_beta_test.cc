#include "sampling/schedule/incomplete_beta.h"

#include <gtest/gtest.h>

#include <cmath>

namespace stepcast::sampling {
namespace {

TEST(IncompleteBetaTest, ClosedForms) {
  for (const double x : {0.0, 1e-6, 0.01, 0.2, 0.5, 0.77, 0.99, 1.0}) {
    // The arcsine distribution, the power distribution and its mirror, the uniform one.
    EXPECT_NEAR(RegularizedIncompleteBeta(0.5, 0.5, x), 2.0 / M_PI * std::asin(std::sqrt(x)), 1e-13) << x;
    EXPECT_NEAR(RegularizedIncompleteBeta(3.0, 1.0, x), x * x * x, 1e-13) << x;
    EXPECT_NEAR(RegularizedIncompleteBeta(1.0, 2.5, x), 1.0 - std::pow(1.0 - x, 2.5), 1e-13) << x;
    EXPECT_NEAR(RegularizedIncompleteBeta(1.0, 1.0, x), x, 1e-13) << x;
  }
}

// Made with scipy.stats.beta.ppf.
TEST(BetaQuantileTest, EqualsScipy) {
  struct Row {
    double p;
    double quantile;
  };
  const Row rows[] = {{0.001, 1.855873851745199e-05}, {0.05, 0.012554456873611399}, {0.25, 0.17568037865269498},
                      {0.5, 0.50000000000000011},     {0.9, 0.96041559441121915},   {0.999, 0.99998144126148258}};
  for (const Row& row : rows) EXPECT_NEAR(BetaQuantile(0.6, 0.6, row.p), row.quantile, 1e-13) << row.p;
}

TEST(BetaQuantileTest, InvertsAndIsSymmetric) {
  for (int i = 1; i < 100; ++i) {
    const double p = i / 100.0;
    const double x = BetaQuantile(0.6, 0.6, p);
    EXPECT_NEAR(RegularizedIncompleteBeta(0.6, 0.6, x), p, 1e-12);
    EXPECT_NEAR(BetaQuantile(0.6, 0.6, 1.0 - p), 1.0 - x, 1e-12);
    EXPECT_NEAR(RegularizedIncompleteBeta(5.0, 1.5, BetaQuantile(5.0, 1.5, p)), p, 1e-12);
  }
}

TEST(BetaQuantileTest, EndsAreExact) {
  EXPECT_EQ(BetaQuantile(0.6, 0.6, 0.0), 0.0);
  EXPECT_EQ(BetaQuantile(0.6, 0.6, 1.0), 1.0);
}

}  // namespace
}  // namespace stepcast::sampling
