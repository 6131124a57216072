#include "codec/pixels/alpha.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(AlphaTest, ComposesOverWhite) {
  std::vector<uint8_t> pixels = {1, 2, 3, 255, 1, 2, 3, 0, 0, 0, 0, 1, 255, 255, 255, 77, 0, 255, 100, 128};
  ComposeOverWhite(&pixels);
  EXPECT_THAT(pixels, testing::ElementsAre(1, 2, 3, 255, 255, 255, 254, 254, 254, 255, 255, 255, 127, 255, 177));
}

TEST(AlphaTest, RoundsToTheNearest) {
  for (int value = 0; value < 256; ++value) {
    for (int alpha = 0; alpha < 256; ++alpha) {
      std::vector<uint8_t> pixels = {static_cast<uint8_t>(value), 0, 0, static_cast<uint8_t>(alpha)};
      ComposeOverWhite(&pixels);
      const double exact = (value * alpha + 255.0 * (255 - alpha)) / 255;
      ASSERT_LE(std::abs(pixels[0] - exact), 0.5) << value << " " << alpha;
    }
  }
}

TEST(AlphaTest, NothingStaysNothing) {
  std::vector<uint8_t> pixels;
  ComposeOverWhite(&pixels);
  EXPECT_TRUE(pixels.empty());
}

}  // namespace
}  // namespace stepcast
