#include "clients/cli/views/contact_sheet.h"

#include <gtest/gtest.h>

namespace stepcast::cli {
namespace {

Pixels Filled(int width, int height, uint8_t value) {
  return {width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3), value)};
}

// The red byte at (x, y).
int At(const Pixels& pixels, int x, int y) { return pixels.rgb[static_cast<size_t>((y * pixels.width + x) * 3)]; }

TEST(ContactSheet, LaysPicturesInReadingOrder) {
  const Pixels sheet = ContactSheet({Filled(3, 2, 10), Filled(3, 2, 20), Filled(3, 2, 30)}, 2, 1);
  EXPECT_EQ(sheet.width, 7);
  EXPECT_EQ(sheet.height, 5);
  EXPECT_EQ(At(sheet, 2, 1), 10);
  EXPECT_EQ(At(sheet, 3, 1), 0) << "the gap";
  EXPECT_EQ(At(sheet, 4, 0), 20);
  EXPECT_EQ(At(sheet, 0, 3), 30);
  EXPECT_EQ(At(sheet, 6, 4), 0) << "no fourth picture";
}

TEST(ContactSheet, OnePictureIsItself) {
  const Pixels one = Filled(4, 4, 7);
  const Pixels sheet = ContactSheet({one}, 3, 5);
  EXPECT_EQ(sheet.width, 4);
  EXPECT_EQ(sheet.rgb, one.rgb);
}

TEST(Png, ReadsWhatItWrites) {
  const Pixels pixels = ContactSheet({Filled(2, 2, 200), Filled(2, 2, 50)}, 2, 3);
  const std::optional<Pixels> read = ReadPng(WritePng(pixels));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->width, 7);
  EXPECT_EQ(read->height, 2);
  EXPECT_EQ(read->rgb, pixels.rgb);
  EXPECT_FALSE(ReadPng("no picture").has_value());
}

}  // namespace
}  // namespace stepcast::cli
