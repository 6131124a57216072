#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/files/png_codec.h"
#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(PngEncoderTest, RoundTripIsLossless) {
  const std::pair<int, int> sizes[] = {{1, 1}, {1, 9}, {7, 1}, {3, 5}, {64, 64}, {257, 129}};
  for (const auto& [width, height] : sizes) {
    const Image image = PaintedImage(width, height);
    const auto file = EncodePng(image, {});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(IsPng(*file));
    const auto decoded = DecodeImage(*file, {});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(MaxDifference(image, *decoded), 0) << width << "x" << height;
  }
}

TEST(PngEncoderTest, IsAnEightBitRgbPngOfFewBytes) {
  const auto file = EncodePng(FlatImage(64, 64, 255, 255, 255), {});
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->substr(0, 33), PngStart(64, 64));
  EXPECT_LT(file->size(), 400u);
  EXPECT_EQ(file->substr(file->size() - 12), PngChunk("IEND", ""));
}

TEST(PngEncoderTest, ParametersAreAText) {
  const Image image = PaintedImage(4, 4);
  const std::string keyword("parameters\0", 11);
  const struct {
    std::string parameters;
    std::string chunk;
  } cases[] = {
      {"a red apple\nSteps: 20", PngChunk("tEXt", keyword + "a red apple\nSteps: 20")},
      {"gr\u00FCn \u00FF", PngChunk("tEXt", keyword + "gr\xFCn \xFF")},
      {"\u732B \U0001F34E", PngChunk("iTXt", keyword + std::string("\0\0\0\0", 4) + "\u732B \U0001F34E")},
      {std::string(100000, 'x'), PngChunk("tEXt", keyword + std::string(100000, 'x'))},
  };
  for (const auto& [parameters, chunk] : cases) {
    const auto file = EncodePng(image, {.parameters = parameters});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_THAT(*file, HasSubstr(chunk));
    const auto decoded = DecodeImage(*file, {});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(MaxDifference(image, *decoded), 0);
  }
  EXPECT_THAT(*EncodePng(image, {}), Not(HasSubstr("tEXt")));
}

TEST(PngEncoderTest, RefusesParametersThatAreNoText) {
  for (const std::string& parameters : {std::string("a\0b", 3), std::string("\xff"), std::string("\xe2\x82")}) {
    const auto file = EncodePng(PaintedImage(2, 2), {.parameters = parameters});
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(file.status().message()), HasSubstr("parameters are not UTF-8"));
  }
}

}  // namespace
}  // namespace stepcast
