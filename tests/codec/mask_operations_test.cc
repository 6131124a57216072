#include "codec/pixels/mask_operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::Each;
using testing::ElementsAre;

Mask BoxMask(int width, int height, const Region& box) {
  Mask mask = {.width = width, .height = height, .values = std::vector<uint8_t>(static_cast<size_t>(width * height))};
  for (int y = box.top; y < box.top + box.height; ++y) {
    for (int x = box.left; x < box.left + box.width; ++x) mask.values[static_cast<size_t>(y * width + x)] = 255;
  }
  return mask;
}

TEST(MaskOperationsTest, Inverts) {
  Mask mask = {.width = 3, .height = 1, .values = {0, 100, 255}};
  InvertMask(&mask);
  EXPECT_THAT(mask.values, ElementsAre(255, 155, 0));
}

TEST(BlurMaskTest, ZeroChangesNothing) {
  Mask mask = BoxMask(5, 5, {1, 2, 2, 2});
  BlurMask(&mask, 0.0);
  EXPECT_EQ(mask.values, BoxMask(5, 5, {1, 2, 2, 2}).values);
  BlurMask(&mask, 0.1);  // its kernel is one pixel
  EXPECT_EQ(mask.values, BoxMask(5, 5, {1, 2, 2, 2}).values);
}

// A point in the middle of a large mask becomes the kernel; sums of rounded values are within half a level each.
TEST(BlurMaskTest, IsAGaussianCutOff) {
  const double sigma = 1.5;
  const int radius = 4;  // int(2.5 x 1.5 + 0.5)
  double sum = 0.0;
  for (int i = -radius; i <= radius; ++i) sum += std::exp(-0.5 * i * i / (sigma * sigma));
  Mask mask = BoxMask(21, 1, {10, 0, 1, 1});
  BlurMask(&mask, sigma);
  for (int x = 0; x < 21; ++x) {
    const int distance = std::abs(x - 10);
    const double weight = distance > radius ? 0.0 : std::exp(-0.5 * distance * distance / (sigma * sigma)) / sum;
    EXPECT_NEAR(mask.values[static_cast<size_t>(x)], 255 * weight, 0.51) << x;
  }
}

TEST(BlurMaskTest, RowsAndColumnsAreTreatedAlike) {
  Mask wide = BoxMask(40, 7, {3, 2, 9, 3});
  Mask high = BoxMask(7, 40, {2, 3, 3, 9});
  BlurMask(&wide, 2.0);
  BlurMask(&high, 2.0);
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 40; ++x) {
      // The order of the passes moves the rounding between them.
      EXPECT_NEAR(wide.values[static_cast<size_t>(y * 40 + x)], high.values[static_cast<size_t>(x * 7 + y)], 1);
    }
  }
}

TEST(BlurMaskTest, WhiteStaysWhiteUpToTheBorder) {
  for (const auto& [width, height] : {std::pair(1, 1), std::pair(2, 3), std::pair(30, 20)}) {
    Mask mask = BoxMask(width, height, {0, 0, width, height});
    BlurMask(&mask, 64.0);
    EXPECT_THAT(mask.values, Each(255));
  }
}

TEST(BoundsOfTest, HoldsAllThatIsNotBlack) {
  EXPECT_FALSE(BoundsOf(BoxMask(4, 4, {0, 0, 0, 0})).has_value());
  for (const Region& box : {Region{0, 0, 1, 1}, Region{3, 3, 1, 1}, Region{1, 0, 2, 4}, Region{0, 0, 4, 4}}) {
    EXPECT_EQ(BoundsOf(BoxMask(4, 4, box)), box);
  }
  Mask corners = BoxMask(5, 6, {0, 5, 1, 1});
  corners.values[4] = 1;
  EXPECT_EQ(BoundsOf(corners), (Region{0, 0, 5, 6}));
}

// Picture, box of the mask, padding, wanted size; then the part that diffusers 0.42.1's get_crop_region cuts out.
TEST(CropRegionTest, IsThatOfDiffusers) {
  const int cases[][13] = {
      {80, 171, 69, 33, 6, 122, 32, 64, 64, 0, 1, 80, 170},
      {175, 23, 120, 8, 36, 4, 0, 512, 512, 120, 0, 36, 23},
      {158, 160, 121, 101, 10, 15, 32, 128, 64, 0, 69, 158, 79},
      {153, 119, 3, 85, 17, 11, 32, 64, 64, 0, 53, 66, 66},
      {97, 27, 34, 15, 39, 12, 5, 512, 512, 29, 0, 49, 27},
      {121, 167, 56, 34, 47, 25, 0, 128, 64, 55, 34, 50, 25},
      {146, 75, 66, 55, 39, 14, 32, 512, 512, 34, 0, 103, 75},
      {166, 109, 136, 74, 14, 15, 5, 64, 64, 131, 69, 25, 25},
      {91, 175, 85, 41, 6, 84, 32, 64, 64, 0, 9, 91, 148},
      {187, 74, 162, 73, 9, 1, 0, 64, 64, 162, 65, 9, 9},
      {143, 183, 123, 22, 12, 18, 5, 128, 64, 87, 17, 56, 28},
      {25, 95, 13, 53, 2, 3, 32, 64, 64, 0, 21, 25, 67},
      {116, 170, 42, 141, 36, 17, 0, 64, 64, 42, 132, 36, 36},
      {99, 21, 9, 3, 77, 18, 0, 128, 64, 9, 0, 77, 21},
      {124, 94, 78, 33, 10, 45, 0, 64, 96, 68, 33, 30, 45},
      {100, 112, 17, 110, 49, 2, 5, 512, 512, 12, 53, 59, 59},
      {184, 172, 174, 143, 2, 20, 32, 64, 96, 142, 109, 42, 63},
      {130, 182, 60, 77, 56, 34, 32, 64, 96, 28, 18, 102, 153},
      {160, 106, 2, 100, 107, 5, 5, 64, 64, 0, 0, 114, 106},
      {116, 177, 75, 161, 9, 2, 32, 64, 96, 43, 68, 73, 109},
      {139, 110, 90, 77, 46, 18, 32, 512, 512, 58, 29, 81, 81},
      {25, 170, 1, 5, 12, 65, 32, 512, 512, 0, 0, 25, 102},
      {96, 171, 76, 81, 6, 47, 0, 64, 96, 64, 81, 31, 47},
      {114, 172, 33, 76, 49, 14, 0, 128, 64, 33, 71, 49, 24},
      {99, 148, 28, 68, 31, 42, 0, 512, 512, 23, 68, 42, 42},
      {186, 198, 24, 26, 154, 83, 5, 128, 64, 0, 21, 186, 93},
      {132, 63, 20, 21, 95, 42, 0, 512, 512, 20, 0, 95, 63},
      {89, 77, 15, 4, 68, 25, 5, 128, 64, 10, 0, 78, 39},
      {91, 107, 82, 10, 6, 76, 0, 512, 512, 15, 10, 76, 76},
      {94, 152, 34, 118, 23, 27, 5, 512, 512, 27, 113, 37, 37},
      {165, 124, 9, 117, 106, 2, 0, 64, 64, 9, 18, 106, 106},
      {142, 179, 130, 111, 9, 29, 0, 512, 512, 113, 111, 29, 29},
      {189, 152, 73, 139, 44, 4, 0, 64, 96, 73, 86, 44, 66},
      {50, 82, 2, 4, 45, 66, 0, 512, 512, 0, 4, 50, 66},
      {167, 32, 3, 30, 31, 1, 32, 64, 96, 0, 0, 66, 32},
      {81, 189, 2, 134, 69, 27, 0, 64, 64, 2, 113, 69, 69},
      {107, 52, 32, 34, 62, 2, 5, 128, 64, 27, 16, 72, 36},
      {70, 51, 68, 7, 1, 16, 5, 128, 64, 18, 2, 52, 26},
      {21, 144, 20, 102, 1, 18, 0, 64, 96, 9, 102, 12, 18},
      {178, 154, 133, 108, 4, 31, 5, 64, 64, 115, 103, 41, 41},
  };
  for (const auto& c : cases) {
    const Region region =
        CropRegion({c[2], c[3], c[4], c[5]}, {.padding = c[6], .width = c[7], .height = c[8]}, c[0], c[1]);
    EXPECT_EQ(region, (Region{c[9], c[10], c[11], c[12]}))
        << c[0] << "x" << c[1] << ", mask at " << c[2] << "," << c[3] << ": got " << region.left << "," << region.top
        << " " << region.width << "x" << region.height;
  }
}

// Of any mask within any picture: the part holds the mask and lies in the picture.
TEST(CropRegionTest, HoldsTheMask) {
  std::mt19937 random(5);
  const auto within = [&random](int most) { return static_cast<int>(random() % static_cast<uint32_t>(most)); };
  for (int i = 0; i < 2000; ++i) {
    const int width = 1 + within(300);
    const int height = 1 + within(300);
    const int left = within(width);
    const int top = within(height);
    const Region bounds = {left, top, 1 + within(width - left), 1 + within(height - top)};
    const Region part = CropRegion(bounds, {within(100), 8 + within(2000), 8 + within(2000)}, width, height);
    EXPECT_LE(part.left, bounds.left);
    EXPECT_LE(part.top, bounds.top);
    EXPECT_GE(part.left + part.width, bounds.left + bounds.width);
    EXPECT_GE(part.top + part.height, bounds.top + bounds.height);
    EXPECT_GE(part.left, 0);
    EXPECT_GE(part.top, 0);
    EXPECT_LE(part.left + part.width, width);
    EXPECT_LE(part.top + part.height, height);
  }
}

TEST(PasteTest, KeepsTheOriginalsBytesOutsideOfTheMask) {
  const Image original = PaintedImage(50, 40, 1);
  Mask mask = BoxMask(50, 40, {18, 13, 10, 9});
  BlurMask(&mask, 1.0);
  PasteBack place = {.original = std::make_shared<const Image>(original),
                     .mask = std::make_shared<const Mask>(mask),
                     .left = 10,
                     .top = 8,
                     .width = 24,
                     .height = 20};
  const Image pasted = Paste(place, FlatImage(48, 40, 255, 0, 0));
  EXPECT_EQ(pasted.width, 50);
  EXPECT_EQ(pasted.height, 40);
  for (size_t i = 0; i < mask.values.size(); ++i) {
    const uint8_t share = mask.values[i];
    if (share == 0) {
      EXPECT_EQ(pasted.pixels[3 * i], original.pixels[3 * i]);
      EXPECT_EQ(pasted.pixels[3 * i + 1], original.pixels[3 * i + 1]);
    }
    if (share == 255) {
      EXPECT_EQ(pasted.pixels[3 * i], 255);
      EXPECT_EQ(pasted.pixels[3 * i + 1], 0);
    }
  }
  EXPECT_EQ(mask.values[17 * 50 + 22], 255);
}

}  // namespace
}  // namespace stepcast
