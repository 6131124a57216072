#include "codec/pixels/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using testing::ElementsAre;

// A grey ramp: the value is 10 x column + row.
Pixels Ramp(int width, int height) {
  Pixels pixels = MakePixels(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) pixels.row(y)[x] = static_cast<uint8_t>(10 * x + y);
  }
  return pixels;
}

TEST(ResizeTest, EveryModeGivesTheSize) {
  for (const ResizeMode mode : {ResizeMode::kExact, ResizeMode::kFit, ResizeMode::kCover, ResizeMode::kStretch}) {
    for (const auto& [width, height] : {std::pair(1, 1), std::pair(5, 3), std::pair(3, 5), std::pair(1, 90)}) {
      for (const auto& [new_width, new_height] : {std::pair(1, 1), std::pair(8, 8), std::pair(7, 30)}) {
        const Pixels resized = Resize(Ramp(width, height), new_width, new_height, mode);
        EXPECT_EQ(resized.width, new_width);
        EXPECT_EQ(resized.height, new_height);
        EXPECT_EQ(resized.values.size(), static_cast<size_t>(new_width) * static_cast<size_t>(new_height));
      }
    }
  }
}

TEST(ResizeTest, TheSameSizeIsTheSamePicture) {
  for (const ResizeMode mode : {ResizeMode::kExact, ResizeMode::kFit, ResizeMode::kCover, ResizeMode::kStretch}) {
    EXPECT_EQ(Resize(Ramp(6, 4), 6, 4, mode).values, Ramp(6, 4).values);
  }
}

TEST(ResizeTest, FitRepeatsTheEdges) {
  // 4x2 into 4x5: two rows of the picture from row 5 / 2 - 2 / 2 on, its first row above, its last one below.
  const Pixels resized = Resize(Ramp(4, 2), 4, 5, ResizeMode::kFit);
  EXPECT_THAT(resized.values, ElementsAre(0, 10, 20, 30, 0, 10, 20, 30, 1, 11, 21, 31, 1, 11, 21, 31, 1, 11, 21, 31));
  const Pixels wide = Resize(Ramp(2, 1), 5, 1, ResizeMode::kFit);
  EXPECT_THAT(wide.values, ElementsAre(0, 0, 10, 10, 10));
}

TEST(ResizeTest, CoverCutsBothSides) {
  EXPECT_THAT(Resize(Ramp(5, 1), 2, 1, ResizeMode::kCover).values, ElementsAre(10, 20));
  EXPECT_THAT(Resize(Ramp(1, 5), 1, 3, ResizeMode::kCover).values, ElementsAre(1, 2, 3));
}

// What protrudes is never computed: here it would take 2 GB.
TEST(ResizeTest, CoverByAThreadTakesNoMemory) {
  const Pixels resized = Resize(MakePixels(16384, 1, 3), 64, 2048, ResizeMode::kCover);
  EXPECT_EQ(resized.values.size(), 64u * 2048 * 3);
}

}  // namespace
}  // namespace stepcast
