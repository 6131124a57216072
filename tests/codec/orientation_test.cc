#include "codec/pixels/orientation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::ElementsAreArray;

TEST(OrientationTest, IsReadInBothByteOrders) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {false, true}) {
      const std::string exif = ExifWithOrientation(orientation, big_endian);
      EXPECT_EQ(OrientationOf(exif), orientation);
      EXPECT_EQ(OrientationOf(std::string("Exif\0\0", 6) + exif), orientation);
    }
  }
}

TEST(OrientationTest, NonsenseIsUpright) {
  const std::string exif = ExifWithOrientation(6, true);
  for (size_t size = 0; size < exif.size(); ++size) {
    const Orientation orientation = OrientationOf(exif.substr(0, size));
    EXPECT_TRUE(orientation == kUpright || size > 18) << size;  // cut after the value it may still be read
  }
  EXPECT_EQ(OrientationOf(ExifWithOrientation(0, true)), kUpright);
  EXPECT_EQ(OrientationOf(ExifWithOrientation(9, false)), kUpright);
  EXPECT_EQ(OrientationOf("junk"), kUpright);
  std::string far = exif;
  far.replace(4, 4, "\xff\xff\xff\xf0");  // a directory beyond the end
  EXPECT_EQ(OrientationOf(far), kUpright);
}

// The stored picture is 3 wide and 2 high: 1 2 3 / 4 5 6.
TEST(OrientationTest, EachKindIsTurnedAsExifDefinesIt) {
  const struct {
    int width;
    std::vector<uint8_t> upright;
  } expected[] = {
      {3, {1, 2, 3, 4, 5, 6}}, {3, {3, 2, 1, 6, 5, 4}}, {3, {6, 5, 4, 3, 2, 1}}, {3, {4, 5, 6, 1, 2, 3}},
      {2, {1, 4, 2, 5, 3, 6}}, {2, {4, 1, 5, 2, 6, 3}}, {2, {6, 3, 5, 2, 4, 1}}, {2, {3, 6, 2, 5, 1, 4}},
  };
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Pixels stored = {.width = 3, .height = 2, .channels = 1, .values = {1, 2, 3, 4, 5, 6}};
    const Pixels upright = Upright(stored, orientation);
    EXPECT_EQ(upright.width, expected[orientation - 1].width) << orientation;
    EXPECT_EQ(upright.height, 6 / upright.width);
    EXPECT_THAT(upright.values, ElementsAreArray(expected[orientation - 1].upright)) << orientation;
  }
}

}  // namespace
}  // namespace stepcast
