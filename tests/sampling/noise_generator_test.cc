#include "sampling/program/noise_generator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

#include "tests/sampling/fixture_reader.h"

namespace stepcast::sampling {
namespace {

std::vector<float> Draw(NoiseGenerator& generator, size_t count) {
  std::vector<float> values(count);
  generator.Fill(absl::MakeSpan(values));
  return values;
}

// Absolute, because a sine near 0 has no relative accuracy: one float32 rounding of an angle up to 2 pi moves the
// result by 2.4e-7 times a radius of at most 5.8, and torch's own kernels differ by as much between processors.
constexpr double kTorchTolerance = 1.5e-6;

// Against double: that rounding, and 2 pi itself is a float32, 1.7e-7 too large.
constexpr double kDoubleTolerance = 2.5e-6;

TEST(NoiseGeneratorTest, EqualsTorchRandn) {
  NoiseGenerator generator(0);
  int draws = 0;
  double worst = 0.0;
  for (const std::vector<std::string>& words : ReadFixture("torch_randn.txt")) {
    if (words[0] == "seed") {
      generator = NoiseGenerator(std::stoull(words[1]));
      continue;
    }
    const std::vector<double> expected = Numbers(words, 2);
    ASSERT_EQ(words[0], "randn");
    ASSERT_EQ(expected.size(), std::stoul(words[1]));
    const std::vector<float> got = Draw(generator, expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::abs(got[i] - expected[i]));
      ASSERT_NEAR(got[i], expected[i], kTorchTolerance)
          << "draw " << draws << " of " << words[1] << " values, value " << i;
    }
    ++draws;
  }
  EXPECT_EQ(draws, 22);
  RecordProperty("worst_difference", std::to_string(worst));
}

// The same formula in double from the same uniforms: the polynomials are as good as float32 allows.
TEST(NoiseGeneratorTest, PolynomialsEqualDoubleArithmetic) {
  NoiseGenerator generator(42);
  std::mt19937 twister(42);
  const auto uniform = [&] { return static_cast<double>(twister() & 0xffffff) * 0x1p-24; };
  for (int block = 0; block < 20'000; ++block) {
    const std::vector<float> got = Draw(generator, 16);
    double uniforms[16];
    for (double& value : uniforms) value = uniform();
    for (int j = 0; j < 8; ++j) {
      const double radius = std::sqrt(-2.0 * std::log(1.0 - uniforms[j]));
      const double angle = 2.0 * M_PI * uniforms[j + 8];
      ASSERT_NEAR(got[j], radius * std::cos(angle), kDoubleTolerance);
      ASSERT_NEAR(got[j + 8], radius * std::sin(angle), kDoubleTolerance);
    }
  }
}

TEST(NoiseGeneratorTest, SeedsAreTakenModulo32Bits) {
  NoiseGenerator a(5);
  NoiseGenerator b(5 + (uint64_t{1} << 32));
  NoiseGenerator c(6);
  EXPECT_EQ(a.state(), b.state());
  EXPECT_NE(a.state(), c.state());
}

TEST(NoiseGeneratorTest, SavedStateGoesOn) {
  for (const size_t before : {0u, 1u, 3u, 15u, 16u, 17u, 624u, 1000u}) {
    NoiseGenerator original(7);
    Draw(original, before);
    const NoiseGenerator::State saved = original.state();
    NoiseGenerator restored(saved);
    for (const size_t next : {3u, 40u, 1u, 700u}) EXPECT_EQ(Draw(restored, next), Draw(original, next)) << before;
    EXPECT_EQ(restored.state(), original.state());
  }
}

// The pair's second value outlives draws of 16 and more, as torch's generator keeps it.
TEST(NoiseGeneratorTest, SecondOfAPairWaitsForTheNextSmallDraw) {
  NoiseGenerator generator(3);
  Draw(generator, 1);
  ASSERT_TRUE(generator.state().next_normal.has_value());
  const auto waiting = static_cast<float>(*generator.state().next_normal);
  Draw(generator, 32);
  EXPECT_EQ(Draw(generator, 1)[0], waiting);
}

TEST(NoiseGeneratorTest, EmptyDrawConsumesNothing) {
  NoiseGenerator generator(3);
  const NoiseGenerator::State before = generator.state();
  Draw(generator, 0);
  EXPECT_EQ(generator.state(), before);
}

TEST(NoiseGeneratorTest, MomentsOfAStandardNormal) {
  NoiseGenerator generator(11);
  const std::vector<float> values = Draw(generator, 1 << 20);
  double sum = 0.0;
  double squares = 0.0;
  for (const float value : values) {
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const auto count = static_cast<double>(values.size());
  // Five standard errors: 1/sqrt(n) of the mean, sqrt(2/n) of the variance.
  EXPECT_NEAR(sum / count, 0.0, 5.0 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1.0, 5.0 * std::sqrt(2.0 / count));
}

}  // namespace
}  // namespace stepcast::sampling
