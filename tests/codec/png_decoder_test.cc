#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/files/png_codec.h"
#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr png_color kRed = {255, 0, 0};
constexpr png_color kGreen = {0, 255, 0};

std::vector<uint8_t> Pixels(const PngKind& kind) {
  const auto image = DecodeImage(WritePng(kind), {});
  EXPECT_TRUE(image.ok()) << image.status();
  if (!image.ok()) {
    return {};
  }
  EXPECT_EQ(image->width, kind.width);
  EXPECT_EQ(image->height, kind.height);
  return image->pixels;
}

TEST(PngDecoderTest, Palette) {
  EXPECT_THAT(
      Pixels(
          {.width = 2, .height = 1, .colour_type = PNG_COLOR_TYPE_PALETTE, .rows = {1, 0}, .palette = {kRed, kGreen}}),
      ElementsAre(0, 255, 0, 255, 0, 0));
  // One bit per pixel.
  EXPECT_THAT(Pixels({.width = 2,
                      .height = 1,
                      .bit_depth = 1,
                      .colour_type = PNG_COLOR_TYPE_PALETTE,
                      .rows = {0x40},
                      .palette = {kRed, kGreen}}),
              ElementsAre(255, 0, 0, 0, 255, 0));
}

TEST(PngDecoderTest, PaletteWithAlphaIsOverWhite) {
  EXPECT_THAT(Pixels({.width = 2,
                      .height = 1,
                      .colour_type = PNG_COLOR_TYPE_PALETTE,
                      .rows = {0, 1},
                      .palette = {kRed, kGreen},
                      .palette_alpha = {0, 128}}),
              ElementsAre(255, 255, 255, 127, 255, 127));
}

TEST(PngDecoderTest, Grey) {
  EXPECT_THAT(Pixels({.width = 2, .height = 1, .colour_type = PNG_COLOR_TYPE_GRAY, .rows = {7, 200}}),
              ElementsAre(7, 7, 7, 200, 200, 200));
  EXPECT_THAT(Pixels({.width = 2, .height = 1, .bit_depth = 4, .colour_type = PNG_COLOR_TYPE_GRAY, .rows = {0x0F}}),
              ElementsAre(0, 0, 0, 255, 255, 255));
  EXPECT_THAT(Pixels({.width = 2, .height = 1, .colour_type = PNG_COLOR_TYPE_GRAY, .rows = {0, 200}, .grey_key = true}),
              ElementsAre(255, 255, 255, 200, 200, 200));
  EXPECT_THAT(Pixels({.width = 1, .height = 1, .colour_type = PNG_COLOR_TYPE_GRAY_ALPHA, .rows = {0, 51}}),
              ElementsAre(204, 204, 204));
}

TEST(PngDecoderTest, AlphaIsOverWhite) {
  EXPECT_THAT(Pixels({.width = 3,
                      .height = 1,
                      .colour_type = PNG_COLOR_TYPE_RGB_ALPHA,
                      .rows = {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 128}}),
              ElementsAre(10, 20, 30, 255, 255, 255, 127, 177, 255));
}

TEST(PngDecoderTest, SixteenBitsAreScaled) {
  EXPECT_THAT(Pixels({.width = 1, .height = 1, .bit_depth = 16, .rows = {0x80, 0x80, 0xFF, 0xFF, 0x00, 0x7F}}),
              ElementsAre(128, 255, 0));
}

TEST(PngDecoderTest, Interlaced) {
  const Image image = PaintedImage(37, 23);
  EXPECT_EQ(Pixels({.width = 37, .height = 23, .interlaced = true, .rows = image.pixels}), image.pixels);
}

TEST(PngDecoderTest, ChecksSizeFromTheHeaderAlone) {
  const DecodeLimits limits = {.max_pixels = 600, .max_side = 30};
  const struct {
    uint32_t width;
    uint32_t height;
    const char* message;
  } cases[] = {
      {65535, 65535, "PNG of 65535x65535 pixels; allowed are sides of 1..30 and 600 pixels in all"},
      {0xFFFFFFFF, 0xFFFFFFFF, "PNG of 4294967295x4294967295"},
      {31, 1, "PNG of 31x1 pixels"},
      {1, 31, "PNG of 1x31 pixels"},
      {25, 25, "PNG of 25x25 pixels"},
      {0, 1, "PNG of 0x1 pixels"},
      {1, 0, "PNG of 1x0 pixels"},
  };
  for (const auto& [width, height, message] : cases) {
    const auto image = DecodeImage(PngStart(width, height), limits);
    EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(image.status().message()), HasSubstr(message));
  }
  for (const auto& [width, height] : {std::pair(30, 20), std::pair(20, 30), std::pair(1, 30)}) {
    EXPECT_TRUE(DecodeImage(*EncodePng(PaintedImage(width, height), {}), limits).ok());
  }
}

TEST(PngDecoderTest, RefusesAnimation) {
  const std::string still = *EncodePng(PaintedImage(4, 4), {});
  const std::string animated = WithChunk(still, PngChunk("acTL", BigEndian(2) + BigEndian(0)));
  EXPECT_EQ(DecodeImage(animated, {}).status().message(), "PNG is animated; allowed are still pictures");
}

TEST(PngDecoderTest, SkipsTextsAndProfilesUnread) {
  const Image image = PaintedImage(4, 4);
  // Compressed chunks whose content is no zlib stream, and would be refused or inflated if they were read.
  const std::string file = WithChunk(WithChunk(*EncodePng(image, {}), PngChunk("zTXt", std::string("k\0\0junk", 7))),
                                     PngChunk("iCCP", std::string("p\0\0junk", 7)));
  const auto decoded = DecodeImage(file, {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(MaxDifference(image, *decoded), 0);
}

// A picture of 16 x 16 whose data goes on for `more` bytes of nothing.
std::string PngWithMore(size_t more) {
  std::string raw(16 * (1 + 3 * 16) + more, '\0');
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  std::string packed(size, '\0');
  EXPECT_EQ(compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
                      static_cast<uLong>(raw.size()), 1),
            Z_OK);
  packed.resize(size);
  return PngStart(16, 16) + PngChunk("IDAT", packed) + PngChunk("IEND", {});
}

TEST(PngDecoderTest, RefusesDataThatGoesOnBehindThePixels) {
  EXPECT_TRUE(DecodeImage(PngWithMore(0), {}).ok());
  EXPECT_TRUE(DecodeImage(PngWithMore(100), {}).ok()) << "some encoders do not stop at once";
  // What takes minutes to inflate when it is as large as files may be.
  const auto endless = DecodeImage(PngWithMore(20'000'000), {});
  EXPECT_EQ(endless.status().message(), "PNG is damaged, cut short or of an unsupported kind");
}

TEST(PngDecoderTest, RefusesDamage) {
  const std::string good = *EncodePng(PaintedImage(16, 16), {});
  std::string bad_sum = good;
  bad_sum[good.size() / 2] = static_cast<char>(bad_sum[good.size() / 2] ^ 1);
  std::string bad_header = good;
  bad_header[24] = 3;  // no such bit depth
  const std::string cases[] = {bad_sum,
                               bad_header,
                               good.substr(0, 8),
                               PngStart(16, 16),
                               good.substr(0, good.size() - 12),
                               PngStart(16, 16) + PngChunk("IEND", {})};
  for (const std::string& file : cases) {
    const auto image = DecodeImage(file, {});
    EXPECT_EQ(image.status().message(), "PNG is damaged, cut short or of an unsupported kind");
  }
}

}  // namespace
}  // namespace stepcast
