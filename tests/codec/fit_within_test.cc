#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/files/image_codec.h"
#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

TEST(FitWithinTest, Sizes) {
  const struct {
    int width;
    int height;
    int max_side;
    int fitted_width;
    int fitted_height;
  } cases[] = {{64, 64, 64, 64, 64}, {64, 64, 32, 32, 32},  {64, 64, 512, 512, 512}, {64, 32, 16, 16, 8},
               {32, 64, 16, 8, 16},  {100, 75, 64, 64, 48}, {1000, 1, 10, 10, 1},    {3, 2, 100, 100, 67},
               {16, 16, 1, 1, 1},    {5, 5, 0, 1, 1},       {5, 5, -3, 1, 1}};
  for (const auto& row : cases) {
    const Image fitted = FitWithin(PaintedImage(row.width, row.height), row.max_side);
    EXPECT_EQ(fitted.width, row.fitted_width) << row.width << "x" << row.height << " in " << row.max_side;
    EXPECT_EQ(fitted.height, row.fitted_height) << row.width << "x" << row.height << " in " << row.max_side;
    EXPECT_EQ(fitted.pixels.size(), static_cast<size_t>(fitted.width) * static_cast<size_t>(fitted.height) * 3);
  }
}

TEST(FitWithinTest, SameSizeIsTheSamePicture) {
  const Image image = PaintedImage(20, 10);
  EXPECT_EQ(MaxDifference(image, FitWithin(image, 20)), 0);
}

TEST(FitWithinTest, AnEmptyPictureStaysEmpty) { EXPECT_TRUE(FitWithin(Image(), 8).pixels.empty()); }

TEST(FitWithinTest, DownAveragesWholeAreas) {
  const Image image = {.width = 2, .height = 2, .pixels = {0, 10, 255, 1, 10, 255, 2, 20, 255, 4, 20, 254}};
  EXPECT_THAT(FitWithin(image, 1).pixels, ElementsAre(2, 15, 255));  // 7/4, 15, 254.75
}

TEST(FitWithinTest, DownAveragesPartsOfPixels) {
  // Three pixels to two: the middle one counts half on each side.
  const Image image = {.width = 3, .height = 1, .pixels = {0, 0, 0, 90, 90, 90, 255, 255, 255}};
  EXPECT_THAT(FitWithin(image, 2).pixels, ElementsAre(30, 30, 30, 200, 200, 200));
}

TEST(FitWithinTest, DownKeepsAFlatColour) {
  for (const int side : {1, 3, 7, 50, 99}) {
    const Image fitted = FitWithin(FlatImage(100, 63, 3, 128, 255), side);
    EXPECT_EQ(MaxDifference(fitted, FlatImage(fitted.width, fitted.height, 3, 128, 255)), 0) << side;
  }
}

TEST(FitWithinTest, UpRepeatsPixels) {
  const Image image = {.width = 2, .height = 1, .pixels = {1, 2, 3, 4, 5, 6}};
  EXPECT_THAT(FitWithin(image, 4).pixels, ElementsAre(1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6,  //
                                                      1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6));
  EXPECT_THAT(FitWithin(image, 3).pixels, ElementsAre(1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3, 4, 5, 6, 4, 5, 6));
}

}  // namespace
}  // namespace stepcast
