#include "codec/files/webp_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <webp/encode.h>

#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string LittleEndian24(uint32_t value) {
  return {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16)};
}

// A container with a canvas of that size and no picture. Flag 2: animation.
std::string WebpCanvas(uint32_t width, uint32_t height, char flags) {
  const std::string chunk = std::string("VP8X\x0a\0\0\0", 8) + std::string(1, flags) + std::string(3, '\0') +
                            LittleEndian24(width - 1) + LittleEndian24(height - 1);
  return "RIFF" + LittleEndian24(static_cast<uint32_t>(chunk.size() + 4)) + std::string(1, '\0') + "WEBP" + chunk;
}

TEST(WebpCodecTest, RoundTripIsClose) {
  const std::pair<int, int> sizes[] = {{1, 1}, {16, 16}, {33, 5}, {64, 64}};
  for (const auto& [width, height] : sizes) {
    const Image image = PaintedImage(width, height);
    const auto file = EncodeWebp(image, 95);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(IsWebp(*file));
    const auto decoded = DecodeImage(*file, {});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    // Lossy WebP halves the chroma, which the waves of the picture stand.
    EXPECT_LE(MaxDifference(image, *decoded), 24) << width << "x" << height;
  }
}

TEST(WebpCodecTest, QualityMatters) {
  const Image image = PaintedImage(128, 128);
  EXPECT_LT(EncodeWebp(image, 10)->size(), EncodeWebp(image, 50)->size());
  EXPECT_LT(EncodeWebp(image, 50)->size(), EncodeWebp(image, 100)->size());
}

TEST(WebpCodecTest, LosslessAlphaIsOverWhite) {
  const uint8_t pixels[] = {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 128};
  uint8_t* buffer = nullptr;
  const size_t size = WebPEncodeLosslessRGBA(pixels, 3, 1, 12, &buffer);
  const auto image = DecodeImage({reinterpret_cast<char*>(buffer), size}, {});
  WebPFree(buffer);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT(image->pixels, ElementsAre(10, 20, 30, 255, 255, 255, 127, 177, 255));
}

TEST(WebpCodecTest, RefusesAnimation) {
  EXPECT_EQ(DecodeImage(WebpCanvas(8, 8, 2) + std::string("ANIM\x06\0\0\0\0\0\0\0\0\0", 14), {}).status().message(),
            "WebP is animated; allowed are still pictures");
}

TEST(WebpCodecTest, ChecksSizeBeforePixels) {
  const DecodeLimits limits = {.max_pixels = 600, .max_side = 30};
  EXPECT_TRUE(DecodeImage(*EncodeWebp(PaintedImage(30, 20), 90), limits).ok());
  for (const auto& [width, height] : {std::pair(31, 1), std::pair(1, 31), std::pair(25, 25)}) {
    const auto image = DecodeImage(*EncodeWebp(PaintedImage(width, height), 90), limits);
    EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(image.status().message()), HasSubstr("allowed are sides of 1..30 and 600 pixels in all"));
  }
  EXPECT_THAT(std::string(DecodeImage(WebpCanvas(65535, 65535, 2), {}).status().message()),
              HasSubstr("WebP of 65535x65535 pixels"));
}

TEST(WebpCodecTest, RefusesDamage) {
  const std::string good = *EncodeWebp(PaintedImage(64, 64), 90);
  for (const std::string& file : {good.substr(0, 12), good.substr(0, 25), good.substr(0, good.size() / 2),
                                  good.substr(0, good.size() - 20), WebpCanvas(8, 8, 0)}) {
    EXPECT_EQ(DecodeImage(file, {}).status().message(), "WebP is damaged, cut short or of an unsupported kind")
        << file.size();
  }
}

TEST(WebpCodecTest, RefusesSidesThatTheFormatLacks) {
  EXPECT_TRUE(EncodeWebp(FlatImage(16383, 1, 1, 2, 3), 90).ok());
  EXPECT_EQ(EncodeWebp(FlatImage(16384, 1, 1, 2, 3), 90).status().message(),
            "picture of 16384x1 pixels; allowed for WebP are sides of 1..16383");
}

}  // namespace
}  // namespace stepcast
