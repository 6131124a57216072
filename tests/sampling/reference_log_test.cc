#include "sampling/schedule/reference_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

namespace stepcast::sampling {
namespace {

// numpy.log of float32 values, 2.4 on an x86 CPU; from the fifteenth on, where the nearest float32 is another.
constexpr std::pair<float, float> kNumpy[] = {
    {0.00999999978f, -4.60517025f}, {0.0291675292f, -3.5346992f},   {0.100000001f, -2.30258512f},
    {0.5f, -0.693147182f},          {0.707106829f, -0.346573502f},  {1.0f, 0.0f},
    {1.41421354f, 0.346573591f},    {1.5f, 0.405465096f},           {2.0f, 0.6931471824645996f},
    {3.14159012f, 1.14472914f},     {14.6146412f, 2.68202376f},     {157.407227f, 5.05883646f},
    {4096.0f, 8.317766189575195f},  {20291.0f, 9.917932510375977f}, {0.397936255f, -0.92146349f},
    {5.10719442f, 1.63065028f},     {0.886225283f, -0.120784082f},  {1.08525825f, 0.0818179771f},
    {0.883486032f, -0.12387979f},   {781.319946f, 6.66098499f},     {0.815235734f, -0.204277977f},
    {177.233414f, 5.17746735f},     {24.8184319f, 3.21158648f},     {3.03016114f, 1.10861588f},
    {1.68920255f, 0.524256587f},    {1.14169848f, 0.13251704f},     {4.07196236f, 1.40412509f},
    {1.00736487f, 0.00733788125f},  {0.018591132f, -3.98507071f},   {1.52922952f, 0.424764007f},
    {1.23473763f, 0.210858494f},    {19.6874294f, 2.97998047f},     {2.63475609f, 0.96879065f},
    {5.28772163f, 1.66538739f},     {5.19257069f, 1.64722896f},     {6991.32959f, 8.85242653f},
    {1657.66589f, 7.41316605f},     {1.28149998f, 0.248031244f},    {0.361049145f, -1.01874113f},
    {0.370948017f, -0.991693377f}};

TEST(ReferenceLogTest, EveryBitIsNumpys) {
  for (const auto& [x, log] : kNumpy) EXPECT_EQ(ReferenceLog(x), log) << x;
}

TEST(ReferenceLogTest, NearTheTrueLogarithm) {
  for (float x = 1e-6f; x < 1e6f; x *= 1.01f) {
    // 4 units of the last place, as numpy states of its approximation.
    const double unit = std::abs(std::log(static_cast<double>(x))) * std::numeric_limits<float>::epsilon();
    EXPECT_NEAR(ReferenceLog(x), std::log(static_cast<double>(x)), 4 * unit + 1e-9) << x;
  }
}

TEST(ReferenceLogTest, WhatHasNoFiniteLogarithm) {
  EXPECT_EQ(ReferenceLog(0.0f), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(ReferenceLog(std::numeric_limits<float>::infinity()), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(ReferenceLog(-1.0f)));
}

}  // namespace
}  // namespace stepcast::sampling
