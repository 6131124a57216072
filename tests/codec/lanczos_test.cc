#include "codec/pixels/lanczos.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace stepcast {
namespace {

// As fixtures/make_resize_fixtures.py makes them.
Pixels Random(uint32_t state, int width, int height, int channels, int kind) {
  Pixels pixels = MakePixels(width, height, channels);
  for (uint8_t& value : pixels.values) {
    state = state * 1664525 + 1013904223;
    value = static_cast<uint8_t>(kind == 0 ? state >> 24 : 255 * (state >> 31));
  }
  return pixels;
}

TEST(LanczosTest, IsPillows) {
  std::ifstream file(std::string(STEPCAST_SOURCE_DIR) + "/tests/codec/fixtures/resize_fixtures.bin", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  uint32_t cases = 0;
  int values = 0;
  int differing = 0;
  for (size_t at = 0; at + 6 <= bytes.size(); ++cases) {
    const auto number = [&](size_t i) { return int{static_cast<uint8_t>(bytes[at + i])}; };
    const Pixels resized =
        ResizeLanczos(Random(cases, number(1), number(2), number(0), number(5)), number(3), number(4));
    ASSERT_LE(at + 6 + resized.values.size(), bytes.size());
    at += 6;
    for (size_t i = 0; i < resized.values.size(); ++i, ++values) {
      const int difference = std::abs(int{resized.values[i]} - int{static_cast<uint8_t>(bytes[at + i])});
      // The arithmetic is the same; a sine that is rounded otherwise could move a weight's last bit.
      ASSERT_LE(difference, 1) << "case " << cases << ", value " << i;
      if (difference != 0) ++differing;
    }
    at += resized.values.size();
  }
  EXPECT_EQ(cases, 400u);
  EXPECT_LE(differing, values / 1000);
}

TEST(LanczosTest, APartIsThePartOfTheWhole) {
  const Pixels pixels = Random(3, 31, 47, 3, 0);
  for (const auto& [width, height] : {std::pair(10, 20), std::pair(90, 20), std::pair(31, 60), std::pair(60, 47),
                                      std::pair(31, 47), std::pair(100, 101)}) {
    const Pixels whole = ResizeLanczos(pixels, width, height);
    const Region region = {width / 3, height / 4, width / 2, height / 2};
    const Pixels part = ResizeLanczosPart(pixels, width, height, region);
    EXPECT_EQ(part.values, Crop(whole, region).values) << width << "x" << height;
  }
}

TEST(LanczosTest, FlatStaysFlat) {
  for (const int channels : {1, 2, 3, 4}) {
    Pixels pixels = MakePixels(5, 7, channels);
    for (uint8_t& value : pixels.values) value = 200;
    for (const uint8_t value : ResizeLanczos(pixels, 11, 3).values) EXPECT_EQ(value, 200);
  }
}

}  // namespace
}  // namespace stepcast
