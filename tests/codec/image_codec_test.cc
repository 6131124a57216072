#include "codec/files/image_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "codec/files/jpeg_codec.h"
#include "codec/files/picture_header.h"
#include "codec/files/png_codec.h"
#include "codec/files/webp_codec.h"
#include "codec/pixels/orientation.h"
#include "core/error_reason.h"
#include "tests/codec/test_images.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr ImageFormat kFormats[] = {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp};

std::string EncodedFile(ImageFormat format, int width, int height) {
  const auto file =
      EncodeImage(PaintedImage(width, height), {.format = format, .texts = {.parameters = "a red apple"}});
  EXPECT_TRUE(file.ok()) << file.status();
  return *file;
}

TEST(ImageCodecTest, EveryFormatComesBack) {
  const std::map<ImageFormat, int> tolerances = {
      {ImageFormat::kPng, 0}, {ImageFormat::kJpeg, 16}, {ImageFormat::kWebp, 32}};
  for (const auto& [format, tolerance] : tolerances) {
    const auto decoded = DecodeImage(EncodedFile(format, 48, 32), {});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_LE(MaxDifference(PaintedImage(48, 32), *decoded), tolerance) << MimeType(format);
  }
}

TEST(ImageCodecTest, MimeTypes) {
  EXPECT_EQ(MimeType(ImageFormat::kPng), "image/png");
  EXPECT_EQ(MimeType(ImageFormat::kJpeg), "image/jpeg");
  EXPECT_EQ(MimeType(ImageFormat::kWebp), "image/webp");
}

TEST(ImageCodecTest, RefusesPicturesThatAreNone) {
  Image short_one = PaintedImage(4, 4);
  short_one.pixels.pop_back();
  Image negative = {.width = -2, .height = -2, .pixels = std::vector<uint8_t>(12)};
  Image huge = {.width = 2147483647, .height = 2147483647, .pixels = std::vector<uint8_t>(3)};
  for (const ImageFormat format : kFormats) {
    for (const Image& image : {Image(), short_one, negative, huge, FlatImage(0, 5, 0, 0, 0)}) {
      const auto file = EncodeImage(image, {.format = format});
      EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(file.status().message()), HasSubstr("and at least one pixel"));
    }
  }
  EXPECT_EQ(EncodeImage(short_one, {}).status().message(),
            "picture of 4x4 pixels with 47 bytes; expected are 48 and at least one pixel");
}

TEST(ImageCodecTest, QualityAtTheLimitsAndBeyond) {
  const Image image = PaintedImage(8, 8);
  for (const ImageFormat format : {ImageFormat::kJpeg, ImageFormat::kWebp}) {
    for (const int quality : {1, 100}) {
      EXPECT_TRUE(EncodeImage(image, {.format = format, .quality = quality}).ok()) << quality;
    }
    for (const int quality : {0, 101, -1}) {
      const auto file = EncodeImage(image, {.format = format, .quality = quality});
      EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << quality;
    }
  }
  EXPECT_TRUE(EncodeImage(image, {.format = ImageFormat::kPng, .quality = 0}).ok());
}

TEST(ImageCodecTest, BytesAtTheLimitAndBeyond) {
  for (const ImageFormat format : kFormats) {
    const std::string file = EncodedFile(format, 16, 16);
    EXPECT_TRUE(DecodeImage(file, {.max_bytes = file.size()}).ok());
    EXPECT_THAT(std::string(DecodeImage(file, {.max_bytes = file.size() - 1}).status().message()),
                HasSubstr("file has "));
  }
  EXPECT_EQ(DecodeImage("", {}).status().message(), "file has 0 bytes; allowed are 1..10485760");
}

TEST(ImageCodecTest, PixelsAtTheLimitAndBeyond) {
  for (const ImageFormat format : kFormats) {
    const std::string file = EncodedFile(format, 20, 10);
    EXPECT_TRUE(DecodeImage(file, {.max_pixels = 200, .max_side = 20}).ok());
    EXPECT_FALSE(DecodeImage(file, {.max_pixels = 199, .max_side = 20}).ok());
    EXPECT_FALSE(DecodeImage(file, {.max_pixels = 200, .max_side = 19}).ok());
  }
}

TEST(ImageCodecTest, KnowsFilesByTheirFirstBytes) {
  for (const std::string_view bytes : {"GIF89a", "BM", "<svg/>", "\x89PNG\r\n\x1a", "\xff\xd8", "RIFF\0\0\0\0WAVE",
                                       "P6 1 1 255", " \x89PNG\r\n\x1a\n"}) {
    EXPECT_EQ(DecodeImage(bytes, {}).status().message(), "file is no PNG, JPEG or WebP by its first bytes") << bytes;
  }
}

TEST(ImageCodecTest, EverySixteenthOfAFileIsRefused) {
  for (const ImageFormat format : kFormats) {
    const std::string file = EncodedFile(format, 96, 64);
    for (size_t part = 0; part < 16; ++part) {
      const auto image = DecodeImage(std::string_view(file).substr(0, file.size() * part / 16), {});
      EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << MimeType(format) << " " << part;
    }
  }
}

// Whatever the bytes, the answer is a picture within the limits or INVALID_ARGUMENT without a word of a library.
TEST(ImageCodecTest, SeededMutationsNeverEscape) {
  const DecodeLimits limits = {.max_bytes = 1 << 16, .max_pixels = 1 << 14, .max_side = 256};
  std::vector<std::string> files;
  for (const ImageFormat format : kFormats) {
    files.push_back(EncodedFile(format, 24, 18));
  }
  const Image grey = FlatImage(19, 7, 5, 5, 5);
  files.push_back(WritePng({.width = 19, .height = 7, .interlaced = true, .rows = grey.pixels}));
  files.push_back(
      WritePng({.width = 19, .height = 21, .colour_type = PNG_COLOR_TYPE_GRAY, .rows = grey.pixels, .grey_key = true}));
  std::mt19937 random(2024);
  int pictures = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string file = files[static_cast<size_t>(round) % files.size()];
    for (uint32_t mutation = 1 + random() % 4; mutation > 0; --mutation) {
      const size_t at = random() % file.size();
      switch (random() % 4) {
        case 0:
          file[at] = static_cast<char>(file[at] ^ (1 << random() % 8));
          break;
        case 1:
          file[at] = static_cast<char>(random());
          break;
        case 2:
          file.erase(at, 1 + random() % 16);
          break;
        default:
          file.insert(at, std::string(1 + random() % 16, static_cast<char>(random())));
      }
      if (file.empty()) {
        break;
      }
    }
    const auto image = DecodeImage(file, limits);
    if (image.ok()) {
      ++pictures;
      ASSERT_LE(std::max(image->width, image->height), limits.max_side);
      ASSERT_EQ(image->pixels.size(), static_cast<size_t>(image->width) * static_cast<size_t>(image->height) * 3);
    } else {
      ASSERT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << "round " << round << image.status();
    }
  }
  EXPECT_GT(pictures, 0);     // some mutations only change pixels
  EXPECT_LT(pictures, 5000);  // most are seen
}

std::string JpegWithExif(const std::string& jpeg, const std::string& exif) {
  const size_t length = exif.size() + 8;
  return jpeg.substr(0, 2) + "\xff\xe1" + std::string{static_cast<char>(length >> 8), static_cast<char>(length)} +
         std::string("Exif\0\0", 6) + exif + jpeg.substr(2);
}

std::string LittleEndian(size_t value) {
  return {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16), 0};
}

// A WebP in the extended layout, with a chunk of EXIF behind the picture.
std::string WebpWithExif(const std::string& webp, int width, int height, const std::string& exif) {
  const auto side = [](int pixels) { return LittleEndian(static_cast<size_t>(pixels - 1)).substr(0, 3); };
  const std::string body = "WEBPVP8X" + LittleEndian(10) + LittleEndian(8) + side(width) + side(height) +
                           webp.substr(12) + "EXIF" + LittleEndian(exif.size()) + exif;
  return "RIFF" + LittleEndian(body.size()) + body;
}

TEST(ImageCodecTest, PicturesAreTurnedUpright) {
  const Image stored = PaintedImage(24, 16);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string exif = ExifWithOrientation(orientation, orientation % 2 == 0);
    const Pixels upright = Upright({24, 16, 3, stored.pixels}, orientation);
    const std::string files[] = {WithChunk(*EncodePng(stored, {}), PngChunk("eXIf", exif)),
                                 JpegWithExif(*EncodeJpeg(stored, 100), exif),
                                 WebpWithExif(*EncodeWebp(stored, 100), 24, 16, exif)};
    for (const std::string& file : files) {
      const auto image = DecodeImage(file, {});
      ASSERT_TRUE(image.ok()) << image.status();
      EXPECT_EQ(image->width, upright.width);
      EXPECT_EQ(image->height, upright.height);
      // Lossy formats at full quality: noise of +-2 around a smooth picture, WebP with half the chroma.
      EXPECT_LE(MaxDifference(*image, {upright.width, upright.height, upright.values}), 16) << orientation;
      const auto header = ReadPictureHeader(file, {});
      ASSERT_TRUE(header.ok()) << header.status();
      EXPECT_EQ(header->orientation, orientation);
      EXPECT_EQ(header->upright_width(), upright.width);
    }
  }
}

TEST(ImageCodecTest, ReasonsTellLargeFromBroken) {
  const std::string png = *EncodePng(PaintedImage(20, 10), {});
  EXPECT_EQ(ErrorReason(DecodeImage(png, {.max_bytes = 10}).status()), "IMAGE_TOO_LARGE");
  EXPECT_EQ(ErrorReason(DecodeImage(png, {.max_side = 19}).status()), "IMAGE_TOO_LARGE");
  EXPECT_EQ(ErrorReason(DecodeImage(png, {.max_pixels = 199}).status()), "IMAGE_TOO_LARGE");
  EXPECT_EQ(ErrorReason(DecodeImage("GIF89a", {}).status()), "IMAGE_UNDECODABLE");
  EXPECT_EQ(ErrorReason(DecodeImage("", {}).status()), "IMAGE_UNDECODABLE");
  EXPECT_EQ(ErrorReason(DecodeImage(png.substr(0, png.size() - 20), {}).status()), "IMAGE_UNDECODABLE");
  EXPECT_EQ(ErrorReason(DecodeMask(png.substr(0, png.size() - 20), {}).status()), "IMAGE_UNDECODABLE");
}

// The header is what a file is judged by before it is decoded: both agree on files that decode.
TEST(ImageCodecTest, HeadersTellWhatIsDecoded) {
  for (const ImageFormat format : kFormats) {
    const auto header = ReadPictureHeader(EncodedFile(format, 31, 17), {});
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->format, format);
    EXPECT_EQ(header->width, 31);
    EXPECT_EQ(header->height, 17);
    EXPECT_EQ(header->orientation, kUpright);
  }
}

std::vector<uint8_t> MaskValues(const PngKind& kind) {
  const auto mask = DecodeMask(WritePng(kind), {});
  EXPECT_TRUE(mask.ok()) << mask.status();
  return mask.ok() ? mask->values : std::vector<uint8_t>();
}

std::vector<uint8_t> GreyAlphaValues(const std::vector<uint8_t>& rows) {
  return MaskValues({.width = static_cast<int>(rows.size() / 2),
                     .height = 1,
                     .colour_type = PNG_COLOR_TYPE_GRAY_ALPHA,
                     .rows = rows});
}

TEST(DecodeMaskTest, IsLuminanceAsPillowTakesIt) {
  // Pillow's convert("L") of red, green, blue, white and (10, 20, 30).
  const std::vector<uint8_t> colours = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 10, 20, 30};
  EXPECT_THAT(MaskValues({.width = 5, .height = 1, .rows = colours}), ElementsAre(76, 150, 29, 255, 18));
  PngKind grey = {.width = 2, .height = 1, .colour_type = PNG_COLOR_TYPE_GRAY, .rows = {7, 200}};
  EXPECT_THAT(MaskValues(grey), ElementsAre(7, 200));
  grey = {.width = 8, .height = 1, .bit_depth = 1, .colour_type = PNG_COLOR_TYPE_GRAY, .rows = {0x0F}};
  EXPECT_THAT(MaskValues(grey), ElementsAre(0, 0, 0, 0, 255, 255, 255, 255));
}

TEST(DecodeMaskTest, ADrawingOnGlassIsItsOpacity) {
  // One colour, black or white: where it is drawn.
  EXPECT_THAT(GreyAlphaValues({0, 255, 0, 128, 99, 0}), ElementsAre(255, 128, 0));
  EXPECT_THAT(GreyAlphaValues({255, 255, 255, 128, 0, 0}), ElementsAre(255, 128, 0));
  // Several: luminance, dimmed by what is not there.
  EXPECT_THAT(GreyAlphaValues({255, 255, 0, 255, 255, 0}), ElementsAre(255, 0, 0));
  EXPECT_THAT(GreyAlphaValues({200, 255, 100, 128}), ElementsAre(200, 50));
  // All opaque, or nothing drawn.
  EXPECT_THAT(GreyAlphaValues({90, 255, 90, 255}), ElementsAre(90, 90));
  EXPECT_THAT(GreyAlphaValues({255, 0, 255, 0}), ElementsAre(0, 0));
}

}  // namespace
}  // namespace stepcast
