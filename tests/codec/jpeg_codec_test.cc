#include "codec/files/jpeg_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <turbojpeg.h>

#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

// A JPEG straight from the library.
std::string WriteJpeg(const std::vector<uint8_t>& pixels, int width, int height, int pixel_format, int subsampling,
                      int flags) {
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int)
  EXPECT_EQ(tjCompress2(handle, pixels.data(), width, 0, height, pixel_format, &buffer, &size, subsampling, 95, flags),
            0);
  std::string file(reinterpret_cast<char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(handle);
  return file;
}

TEST(JpegCodecTest, RoundTripIsClose) {
  const std::pair<int, int> sizes[] = {{1, 1}, {8, 8}, {17, 3}, {64, 64}, {200, 120}};
  for (const auto& [width, height] : sizes) {
    const Image image = PaintedImage(width, height);
    const auto file = EncodeJpeg(image, 95);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(IsJpeg(*file));
    const auto decoded = DecodeImage(*file, {});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    // Noise of +-2 around a smooth picture, quantised at quality 95 with full chroma.
    EXPECT_LE(MaxDifference(image, *decoded), 10) << width << "x" << height;
  }
}

TEST(JpegCodecTest, QualityMatters) {
  const Image image = PaintedImage(128, 128);
  EXPECT_LT(EncodeJpeg(image, 20)->size(), EncodeJpeg(image, 60)->size());
  EXPECT_LT(EncodeJpeg(image, 60)->size(), EncodeJpeg(image, 100)->size());
}

TEST(JpegCodecTest, ReadsGreyProgressiveAndEverySubsampling) {
  const Image image = FlatImage(40, 24, 90, 90, 90);
  for (const int subsampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY}) {
    for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
      const auto decoded = DecodeImage(WriteJpeg(image.pixels, 40, 24, TJPF_RGB, subsampling, flags), {});
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      EXPECT_LE(MaxDifference(image, *decoded), 1) << subsampling;
    }
  }
}

TEST(JpegCodecTest, RefusesCmyk) {
  const std::string file = WriteJpeg(std::vector<uint8_t>(8 * 8 * 4, 100), 8, 8, TJPF_CMYK, TJSAMP_444, 0);
  EXPECT_EQ(DecodeImage(file, {}).status().message(), "JPEG is CMYK; allowed are RGB and grey");
}

TEST(JpegCodecTest, ChecksSizeBeforePixels) {
  const DecodeLimits limits = {.max_pixels = 600, .max_side = 30};
  EXPECT_TRUE(DecodeImage(*EncodeJpeg(PaintedImage(30, 20), 90), limits).ok());
  for (const auto& [width, height] : {std::pair(31, 1), std::pair(1, 31), std::pair(25, 25)}) {
    const auto image = DecodeImage(*EncodeJpeg(PaintedImage(width, height), 90), limits);
    EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(image.status().message()), HasSubstr("allowed are sides of 1..30 and 600 pixels in all"));
  }
  // A header that claims 65500 x 65500 pixels.
  std::string bomb = *EncodeJpeg(PaintedImage(16, 16), 90);
  const size_t frame = bomb.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  bomb.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_THAT(std::string(DecodeImage(bomb, {}).status().message()), HasSubstr("JPEG of 65500x65500 pixels"));
}

TEST(JpegCodecTest, RefusesManyScans) {
  const std::string file = *EncodeJpeg(PaintedImage(16, 16), 90);
  std::string comment("\xff\xfe\x00\x82", 4);  // a segment of 130 bytes
  for (int scan = 0; scan < 64; ++scan) {
    comment += "\xff\xda";
  }
  EXPECT_EQ(DecodeImage(file.substr(0, 2) + comment + file.substr(2), {}).status().message(),
            "JPEG has 65 scans; allowed are 64");
}

TEST(JpegCodecTest, RefusesDamage) {
  const std::string good = *EncodeJpeg(PaintedImage(64, 64), 90);
  for (const std::string& file :
       {good.substr(0, 3), good.substr(0, 200), good.substr(0, good.size() / 2), good.substr(0, good.size() - 40)}) {
    EXPECT_EQ(DecodeImage(file, {}).status().message(), "JPEG is damaged, cut short or of an unsupported kind")
        << file.size();
  }
}

TEST(JpegCodecTest, RefusesSidesThatTheFormatLacks) {
  EXPECT_TRUE(EncodeJpeg(FlatImage(65500, 1, 1, 2, 3), 90).ok());
  const auto file = EncodeJpeg(FlatImage(65501, 1, 1, 2, 3), 90);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(file.status().message(), "picture of 65501x1 pixels; allowed for JPEG are sides of 1..65500");
}

}  // namespace
}  // namespace stepcast
