#include "server/call/picture_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/files/image_codec.h"
#include "core/sha256.h"
#include "tests/support/job_builder.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;

Image Gray(int width, int height) {
  Image image{.width = width, .height = height, .pixels = {}};
  image.pixels.assign(static_cast<size_t>(width * height * 3), 128);
  return image;
}

GenerationRequest Request() {
  GenerationRequest request = *MakeRequest({.width = 64, .height = 32, .seed = 5});
  request.prompt = "a red apple";
  return request;
}

TEST(PictureEncoderTest, FinishedPicturesCarryWhatIsToldAboutThem) {
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp}) {
    GenerationRequest request = Request();
    request.output.format = format;
    const auto picture = EncodePicture(Gray(64, 32), request, 2);
    ASSERT_TRUE(picture.ok()) << picture.status();
    EXPECT_EQ(picture->mime, MimeType(format));
    EXPECT_EQ(picture->width, 64);
    EXPECT_EQ(picture->height, 32);
    EXPECT_EQ(picture->seed, 7);
    EXPECT_EQ(picture->sha256, Sha256Hex(picture->data));
    const auto decoded = DecodeImage(picture->data, {});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->width, 64);
  }
}

TEST(PictureEncoderTest, ParametersAreEmbeddedOnRequestOnly) {
  for (const ImageFormat format : {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp}) {
    GenerationRequest request = Request();
    request.output.format = format;
    EXPECT_THAT(EncodePicture(Gray(64, 32), request, 0)->data, testing::Not(HasSubstr("red apple")));
    request.output.embed_parameters = true;
    const std::string file = EncodePicture(Gray(64, 32), request, 0)->data;
    EXPECT_THAT(file, HasSubstr("a red apple\nSteps: 4, "));
    const char* const json = format == ImageFormat::kPng ? "stepcast" : ", Stepcast request: \"{\\\"model";
    EXPECT_THAT(file, HasSubstr(json));
    EXPECT_TRUE(DecodeImage(file, {}).ok());
  }
}

TEST(PictureEncoderTest, PreviewsNeverGrowAboveThePicture) {
  struct Row {
    int made_width, made_height, max_side;
    int width, height;
  };
  const Row rows[] = {
      {16, 8, 0, 16, 8},     // as the preview decoder made it
      {16, 8, 32, 32, 16},   // enlarged on request
      {16, 8, 512, 64, 32},  // but never above the picture
      {64, 32, 16, 16, 8},   // or made smaller
  };
  for (const Row& row : rows) {
    GenerationRequest request = Request();
    request.preview.max_side = row.max_side;
    const auto preview = EncodePreview(Gray(row.made_width, row.made_height), request);
    ASSERT_TRUE(preview.ok()) << preview.status();
    EXPECT_EQ(preview->mime, "image/jpeg");
    EXPECT_EQ(preview->width, row.width);
    EXPECT_EQ(preview->height, row.height);
    EXPECT_TRUE(DecodeImage(preview->data, {}).ok());
  }
}

TEST(PictureEncoderTest, AnEmptyPictureIsAnError) { EXPECT_FALSE(EncodePicture(Image{}, Request(), 0).ok()); }

}  // namespace
}  // namespace stepcast
