// Requests that bring pictures, against a whole server.

#include <string>

#include "codec/files/image_codec.h"
#include "core/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/codec/test_images.h"
#include "tests/server/fake_models.h"
#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PictureCallsTest : public ServiceFixture {
 protected:
  PictureCallsTest() { more_models_ = {Share(PictureModel())}; }

  static v1::GenerateRequest Request() {
    v1::GenerateRequest request;
    request.set_model("painter");
    request.set_prompt("a red apple");
    request.set_steps(4);
    request.set_init_image(*EncodeImage(PaintedImage(64, 64), {}));
    return request;
  }

  StreamResult Send(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    const auto stub = NewStub();
    const auto reader = stub->Generate(&context, request);
    return Drain(*reader, context);
  }
};

TEST_F(PictureCallsTest, APictureIsToldByItsHash) {
  Start();
  const v1::GenerateRequest request = Request();
  const StreamResult result = Send(request);
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  ASSERT_EQ(result.Of(v1::GenerateResponse::kAccepted).size(), 1u);
  const v1::GenerateRequest told = result.Of(v1::GenerateResponse::kAccepted)[0].accepted().request();
  EXPECT_FALSE(told.has_init_image());
  ASSERT_EQ(told.sent_pictures_size(), 1);
  EXPECT_EQ(told.sent_pictures(0).field(), "init_image");
  EXPECT_EQ(told.sent_pictures(0).sha256(), Sha256Hex(request.init_image()));
  EXPECT_EQ(told.sent_pictures(0).width(), 64);
  EXPECT_EQ(told.strength(), 0.8);
  EXPECT_TRUE(DecodeImage(result.Pictures(1)[0], {}).ok());
}

TEST_F(PictureCallsTest, WhatCannotBeDecodedIsRefusedBeforeAnyMessage) {
  Start();
  v1::GenerateRequest request = Request();
  std::string broken = request.init_image();
  broken.resize(broken.size() / 2);
  request.set_init_image(broken);
  const StreamResult result = Send(request);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(result.reason, "IMAGE_UNDECODABLE");
  EXPECT_THAT(ViolationsIn(result.status), ElementsAre("init_image"));
  EXPECT_EQ(MetadataIn(result.status, "field"), "init_image");
  EXPECT_TRUE(result.messages.empty());
  EXPECT_TRUE(AwaitIdle());
}

TEST_F(PictureCallsTest, ValidateOnlyDecodesToo) {
  Start();
  v1::GenerateRequest request = Request();
  request.set_validate_only(true);
  const StreamResult fine = Send(request);
  EXPECT_TRUE(fine.status.ok()) << fine.status.error_message();
  EXPECT_EQ(fine.messages.size(), 1u);
  request.mutable_init_image()->resize(100);
  EXPECT_EQ(Send(request).reason, "IMAGE_UNDECODABLE");
}

TEST_F(PictureCallsTest, OneAnswerTakesPicturesToo) {
  Start();
  v1::GenerateImageRequest request;
  *request.mutable_request() = Request();
  grpc::ClientContext context;
  v1::GenerateImageResponse response;
  const grpc::Status status = NewStub()->GenerateImage(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.images_size(), 1);
  EXPECT_EQ(response.request().sent_pictures_size(), 1);
}

TEST_F(PictureCallsTest, ThePartIsPastedBack) {
  Start();
  v1::GenerateRequest request = Request();
  const Image original = PaintedImage(150, 120);
  request.set_init_image(*EncodeImage(original, {}));
  Image mask = FlatImage(150, 120, 0, 0, 0);
  for (int y = 50; y < 60; ++y) {
    for (int x = 70; x < 90; ++x) mask.pixels[static_cast<size_t>(3 * (y * 150 + x))] = 255;
  }
  request.set_mask_image(*EncodeImage(mask, {}));
  request.mutable_inpaint()->set_only_masked(true);
  request.mutable_inpaint()->set_blur(2);
  const StreamResult result = Send(request);
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  const auto painted = DecodeImage(result.Pictures(1)[0], {});
  ASSERT_TRUE(painted.ok()) << painted.status();
  ASSERT_EQ(painted->width, 150);
  ASSERT_EQ(painted->height, 120);
  int changed = 0;
  for (int y = 0; y < 120; ++y) {
    for (int x = 0; x < 150; ++x) {
      const size_t i = static_cast<size_t>(3 * (y * 150 + x));
      const bool differs = painted->pixels[i] != original.pixels[i];
      const bool near_mask = x >= 70 - 5 && x < 90 + 5 && y >= 50 - 5 && y < 60 + 5;  // int(2.5 x 2 + 0.5)
      EXPECT_TRUE(near_mask || !differs) << x << "," << y;
      changed += differs ? 1 : 0;
    }
  }
  EXPECT_GT(changed, 0);
}

TEST_F(PictureCallsTest, MoreThanTheBudgetIsRefusedBeforeItIsDecoded) {
  ServerConfig config = TestConfig();
  config.limits.input_pictures.max_pixels = 4096;
  config.limits.input_pictures.budget_bytes = 4096 * 10 + 15'000;  // beside a picture at work
  Start(std::move(config));
  v1::GenerateRequest request = Request();
  const StreamResult result = Send(request);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(result.reason, "QUEUE_FULL");
  EXPECT_NE(result.pushback, "");
  request.set_init_image(*EncodeImage(FlatImage(64, 64, 9, 9, 9), {}));  // some hundred bytes
  EXPECT_TRUE(Send(request).status.ok());
  // Given back with the stream, which a codec thread may hold a moment longer than the call.
  grpc::Status again = Send(request).status;
  for (int tries = 0; !again.ok() && tries < 1000; ++tries) again = Send(request).status;
  EXPECT_TRUE(again.ok()) << again.error_message();
}

TEST_F(PictureCallsTest, AnEmbeddedRequestHoldsNoPicture) {
  Start();
  v1::GenerateRequest request = Request();
  request.mutable_output()->set_embed_parameters(true);
  for (const auto format : {v1::IMAGE_FORMAT_PNG, v1::IMAGE_FORMAT_JPEG, v1::IMAGE_FORMAT_WEBP}) {
    request.mutable_output()->set_format(format);
    const StreamResult result = Send(request);
    ASSERT_TRUE(result.status.ok()) << result.status.error_message();
    std::string file = result.Pictures(1)[0];
    std::erase(file, '\0');  // EXIF has them in UTF-16
    EXPECT_THAT(file, HasSubstr("Denoising strength: 0.8"));
    EXPECT_THAT(file, HasSubstr(Sha256Hex(request.init_image())));
    EXPECT_EQ(file.find("init_image\":\""), file.find("init_image\":\"init"));  // no bytes under its name
  }
}

TEST_F(PictureCallsTest, WhatPicturesAddToAJpegsParametersIsJudgedOnceTheyAreRead) {
  Start();
  v1::GenerateRequest request = Request();
  request.mutable_output()->set_embed_parameters(true);
  request.mutable_output()->set_format(v1::IMAGE_FORMAT_JPEG);
  request.set_validate_only(true);
  request.set_seed(7);  // one that is drawn has more digits or fewer
  // Six bytes of JSON for each character: alone just as much as a JPEG holds, and more with the digest of a picture.
  v1::GenerateRequest alone = request;
  alone.clear_init_image();
  const auto fits = [&](v1::GenerateRequest asked, int characters) {
    std::string prompt(static_cast<size_t>(characters), '\x01');
    for (size_t i = 99; i < prompt.size(); i += 100) prompt[i] = ' ';  // the tokenizer of these tests counts words
    asked.set_prompt(prompt);
    return Send(asked).status;
  };
  int most = 0;
  for (int step = 4096; step > 0; step /= 2) most += fits(alone, most + step).ok() ? step : 0;
  ASSERT_GT(most, 1000);
  ASSERT_FALSE(fits(alone, most + 1).ok());
  const grpc::Status refused = fits(request, most);
  EXPECT_THAT(ViolationsIn(refused), ElementsAre("output.embed_parameters"));
  request.mutable_output()->set_format(v1::IMAGE_FORMAT_WEBP);
  EXPECT_TRUE(fits(request, most).ok());
}

}  // namespace
}  // namespace stepcast
