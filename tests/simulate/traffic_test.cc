#include "tools/simulate/traffic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace stepcast::simulate {
namespace {

constexpr int kArrivals = 100'000;
constexpr double kRate = 2.5;

std::vector<double> GapsOf(double burstiness) {
  std::vector<double> gaps;
  absl::Duration last;
  for (const Arrival& arrival : MakeTraffic({.arrivals = kArrivals, .rate = kRate, .burstiness = burstiness})) {
    gaps.push_back(absl::ToDoubleSeconds(arrival.at - last));
    last = arrival.at;
  }
  return gaps;
}

struct Moments {
  double mean = 0.0;
  double cv2 = 0.0;  // squared coefficient of variation
};

Moments MomentsOf(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0.0, variance = 0.0;
  for (const double value : values) mean += value / count;
  for (const double value : values) variance += (value - mean) * (value - mean) / count;
  return {.mean = mean, .cv2 = variance / (mean * mean)};
}

// Three standard errors. Those of n gamma variables with squared coefficient of variation c are, relative to the value,
// sqrt(c / n) of the mean and sqrt((2 + 2 c) / n) of c (delta method: skewness 2 sqrt(c), excess kurtosis 6 c).
TEST(TrafficTest, GapsHaveTheMeanAndTheVariationAskedFor) {
  for (const double burstiness : {0.25, 1.0, 4.0}) {
    const Moments moments = MomentsOf(GapsOf(burstiness));
    EXPECT_NEAR(moments.mean * kRate, 1.0, 3 * std::sqrt(burstiness / kArrivals)) << burstiness;
    EXPECT_NEAR(moments.cv2 / burstiness, 1.0, 3 * std::sqrt((2 + 2 * burstiness) / kArrivals)) << burstiness;
  }
}

// Three standard errors of a share.
void ExpectTail(const std::vector<double>& gaps, double means, double share) {
  double longer = 0.0;
  for (const double gap : gaps) longer += gap * kRate > means ? 1.0 / kArrivals : 0.0;
  EXPECT_NEAR(longer, share, 3 * std::sqrt(share * (1.0 - share) / kArrivals)) << means;
}

TEST(TrafficTest, WithoutBurstsGapsAreExponential) {
  const std::vector<double> gaps = GapsOf(1.0);
  for (const double means : {0.1, 0.5, 1.0, 2.0, 5.0}) ExpectTail(gaps, means, std::exp(-means));
}

// How often a gamma variable of shape 1/4 and mean 1 exceeds 0.01, 1 and 4: the regularised incomplete gamma function
// Q(1/4, x/4).
TEST(TrafficTest, BurstsAreManyShortGapsAndFewLongOnes) {
  const std::vector<double> gaps = GapsOf(4.0);
  ExpectTail(gaps, 0.01, 0.753426);
  ExpectTail(gaps, 1.0, 0.256322);
  ExpectTail(gaps, 4.0, 0.067921);
}

}  // namespace
}  // namespace stepcast::simulate
