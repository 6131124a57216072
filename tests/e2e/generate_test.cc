// The main path, with the real binary and the bundled model.

#include <algorithm>
#include <array>
#include <cmath>
#include <future>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

namespace v1 = ::stepcast::v1;

class GenerateTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new Server; }
  static void TearDownTestSuite() { delete server_; }
  static inline Server* server_ = nullptr;
};

v1::GenerateRequest RedApple() {
  v1::GenerateRequest request;
  request.set_prompt("a red apple");
  request.set_seed(7);
  return request;
}

TEST_F(GenerateTest, OnlyAPromptIsNeeded) {
  v1::GenerateRequest request;
  request.set_prompt("a red apple");
  const StreamResult result = Generate(*server_, request);
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.accepted.request().model(), "emoji");
  EXPECT_TRUE(result.accepted.request().has_seed());
  ASSERT_EQ(result.images.size(), 1u);
  EXPECT_EQ(result.images[0].mime(), "image/png");
  EXPECT_EQ(result.images[0].seed(), result.accepted.request().seed());
  EXPECT_EQ(result.images[0].sha256().size(), 64u);
  const Image image = Decode(result.images[0].data());
  EXPECT_EQ(image.width, 64);
  EXPECT_EQ(image.height, 64);
  EXPECT_EQ(result.completed.evaluations(), result.accepted.evaluations());
  EXPECT_TRUE(result.previews.empty()) << "previews are off unless asked for";
}

TEST_F(GenerateTest, ARedAppleIsRedOnWhite) {
  const StreamResult result = Generate(*server_, RedApple());
  ASSERT_EQ(result.images.size(), 1u);
  const Image image = Decode(result.images[0].data());
  const auto mean = [&image](int x0, int y0, int size) {
    std::array<double, 3> sum{};
    for (int y = y0; y < y0 + size; ++y) {
      for (int x = x0; x < x0 + size; ++x) {
        for (int c = 0; c < 3; ++c) sum[c] += image.pixels[(y * image.width + x) * 3 + c];
      }
    }
    for (double& s : sum) s /= size * size;
    return sum;
  };
  const auto centre = mean(22, 28, 20);
  EXPECT_GT(centre[0], centre[1] + 60);
  EXPECT_GT(centre[0], centre[2] + 60);
  const auto corner = mean(0, 0, 4);
  EXPECT_GT(std::min({corner[0], corner[1], corner[2]}), 230);
}

TEST_F(GenerateTest, EqualSeedsGiveEqualPicturesAndOtherSeedsOthers) {
  const StreamResult first = Generate(*server_, RedApple());
  const StreamResult second = Generate(*server_, RedApple());
  v1::GenerateRequest other = RedApple();
  other.set_seed(8);
  const StreamResult third = Generate(*server_, other);
  ASSERT_EQ(first.images.size(), 1u);
  ASSERT_EQ(second.images.size(), 1u);
  ASSERT_EQ(third.images.size(), 1u);
  EXPECT_EQ(first.images[0].sha256(), second.images[0].sha256());
  EXPECT_NE(first.images[0].sha256(), third.images[0].sha256());
}

TEST_F(GenerateTest, TheEffectiveRequestReproducesThePicture) {
  v1::GenerateRequest request;
  request.set_prompt("a rocket");
  const StreamResult first = Generate(*server_, request);
  ASSERT_EQ(first.images.size(), 1u);
  const StreamResult again = Generate(*server_, first.accepted.request());
  ASSERT_EQ(again.images.size(), 1u) << again.status.error_message();
  EXPECT_EQ(first.images[0].sha256(), again.images[0].sha256());
}

TEST_F(GenerateTest, PreviewsGetCloserToThePicture) {
  v1::GenerateRequest request = RedApple();
  request.set_steps(20);
  request.mutable_preview()->set_every_n_steps(4);
  request.mutable_preview()->set_format(v1::IMAGE_FORMAT_PNG);
  const StreamResult result = Generate(*server_, request);
  ASSERT_EQ(result.images.size(), 1u);
  // A reader that keeps up still may miss one: the latest wins.
  ASSERT_GE(result.previews.size(), 2u);
  const Image final_image = Decode(result.images[0].data());
  std::vector<double> errors;
  for (const v1::Preview& preview : result.previews) {
    const Image image = Decode(preview.data());
    ASSERT_GT(image.width, 0);
    // Average the picture down to the preview's size: both then show the same cells.
    const int factor = final_image.width / image.width;
    Image small{image.width, image.height, std::vector<uint8_t>(image.pixels.size())};
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        for (int c = 0; c < 3; ++c) {
          int sum = 0;
          for (int i = 0; i < factor * factor; ++i) {
            sum +=
                final_image.pixels[((y * factor + i / factor) * final_image.width + x * factor + i % factor) * 3 + c];
          }
          small.pixels[(y * image.width + x) * 3 + c] = static_cast<uint8_t>(sum / (factor * factor));
        }
      }
    }
    errors.push_back(MeanSquaredError(small, image));
  }
  EXPECT_LT(errors.back(), 0.7 * errors.front());
}

TEST_F(GenerateTest, PreviewsAreJpegUnlessAskedOtherwise) {
  v1::GenerateRequest request = RedApple();
  request.mutable_preview()->set_every_n_steps(5);
  const StreamResult result = Generate(*server_, request);
  ASSERT_FALSE(result.previews.empty());
  EXPECT_EQ(result.previews[0].mime(), "image/jpeg");
  EXPECT_GT(Decode(result.previews[0].data()).width, 0);
}

TEST_F(GenerateTest, EightMixedRequestsShareTicks) {
  const double rows = server_->Metric("stepcast_batch_rows_sum");
  const double ticks = server_->Metric("stepcast_batch_rows_count");
  const v1::Sampler samplers[] = {v1::SAMPLER_DDIM, v1::SAMPLER_EULER, v1::SAMPLER_DPMPP_2M,
                                  v1::SAMPLER_EULER_ANCESTRAL};
  std::vector<std::future<StreamResult>> running;
  for (int i = 0; i < 8; ++i) {
    v1::GenerateRequest request;
    request.set_prompt(i % 2 == 0 ? "a red apple" : "panda");
    request.set_seed(i);
    request.set_steps(25 + 3 * i);
    request.set_guidance_scale(i == 3 ? 1.0 : 2.0 + 0.5 * i);
    request.set_sampler(samplers[i % 4]);
    running.push_back(std::async(std::launch::async, [request] { return Generate(*server_, request); }));
  }
  for (auto& future : running) {
    const StreamResult result = future.get();
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    EXPECT_EQ(result.images.size(), 1u);
  }
  EXPECT_GT(
      (server_->Metric("stepcast_batch_rows_sum") - rows) / (server_->Metric("stepcast_batch_rows_count") - ticks),
      2.0);
}

TEST_F(GenerateTest, SeveralImagesUseConsecutiveSeeds) {
  v1::GenerateRequest request = RedApple();
  request.set_image_count(3);
  const StreamResult result = Generate(*server_, request);
  ASSERT_EQ(result.images.size(), 3u) << result.status.error_message();
  for (const auto& image : result.images) EXPECT_EQ(image.seed(), 7 + image.image_index());
}

TEST_F(GenerateTest, OtherSizesAndFormats) {
  v1::GenerateRequest request = RedApple();
  request.set_width(96);
  request.set_height(64);
  request.mutable_output()->set_format(v1::IMAGE_FORMAT_WEBP);
  const StreamResult result = Generate(*server_, request);
  ASSERT_EQ(result.images.size(), 1u) << result.status.error_message();
  EXPECT_EQ(result.images[0].mime(), "image/webp");
  const Image image = Decode(result.images[0].data());
  EXPECT_EQ(image.width, 96);
  EXPECT_EQ(image.height, 64);
}

TEST_F(GenerateTest, BadInputIsRefusedByName) {
  struct Case {
    const char* field;
    void (*spoil)(v1::GenerateRequest&);
  };
  const Case cases[] = {
      {"prompt", [](v1::GenerateRequest& r) { r.clear_prompt(); }},
      {"prompt", [](v1::GenerateRequest& r) { r.set_prompt(std::string(9000, 'a')); }},
      {"width", [](v1::GenerateRequest& r) { r.set_width(65); }},
      {"height", [](v1::GenerateRequest& r) { r.set_height(-8); }},
      {"steps", [](v1::GenerateRequest& r) { r.set_steps(0); }},
      {"steps", [](v1::GenerateRequest& r) { r.set_steps(100000); }},
      {"guidance_scale", [](v1::GenerateRequest& r) { r.set_guidance_scale(std::nan("")); }},
      {"guidance_scale", [](v1::GenerateRequest& r) { r.set_guidance_scale(31); }},
      {"seed", [](v1::GenerateRequest& r) { r.set_seed(-1); }},
      {"image_count", [](v1::GenerateRequest& r) { r.set_image_count(99); }},
      {"class_label", [](v1::GenerateRequest& r) { r.set_class_label("7"); }},
      {"preview.every_n_steps", [](v1::GenerateRequest& r) { r.mutable_preview()->set_every_n_steps(-1); }},
      {"output.quality", [](v1::GenerateRequest& r) { r.mutable_output()->set_quality(101); }},
      {"eta",
       [](v1::GenerateRequest& r) {
         r.set_sampler(v1::SAMPLER_DDIM);
         r.set_eta(2);
       }},
  };
  for (const Case& c : cases) {
    v1::GenerateRequest request = RedApple();
    c.spoil(request);
    const StreamResult result = Generate(*server_, request);
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << c.field;
    EXPECT_THAT(result.status.error_message() + result.status.error_details(), testing::HasSubstr(c.field));
    EXPECT_FALSE(result.accepted.has_request()) << "a refusal comes before any message";
  }
  v1::GenerateRequest request = RedApple();
  request.set_model("nosuch");
  const StreamResult result = Generate(*server_, request);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(result.status.error_message(), testing::HasSubstr("emoji"));
}

TEST_F(GenerateTest, PreviewsOfTheBundledModelAreAsLargeAsThePicture) {
  v1::GenerateRequest request = RedApple();
  request.mutable_preview()->set_every_n_steps(5);
  const StreamResult result = Generate(*server_, request);
  ASSERT_FALSE(result.previews.empty());
  EXPECT_EQ(result.previews[0].width(), 64);
  EXPECT_EQ(result.accepted.request().preview().max_side(), 64);
}

// Its autoencoder's tiles are 64 pixels wide.
TEST_F(GenerateTest, TilesAreToldChangePixelsAndAreAskedForAgain) {
  v1::GenerateRequest request = RedApple();
  request.set_width(128);
  request.set_steps(4);
  const StreamResult whole = Generate(*server_, request);
  ASSERT_EQ(whole.images.size(), 1u) << whole.status.error_message();
  EXPECT_TRUE(whole.accepted.request().has_vae_tiling());
  EXPECT_FALSE(whole.accepted.request().vae_tiling());
  request.set_vae_tiling(true);
  const StreamResult tiled = Generate(*server_, request);
  ASSERT_EQ(tiled.images.size(), 1u) << tiled.status.error_message();
  EXPECT_TRUE(tiled.accepted.request().vae_tiling());
  EXPECT_NE(tiled.images[0].sha256(), whole.images[0].sha256());
  const StreamResult again = Generate(*server_, tiled.accepted.request());
  ASSERT_EQ(again.images.size(), 1u);
  EXPECT_EQ(again.images[0].sha256(), tiled.images[0].sha256());
}

TEST_F(GenerateTest, ValidateOnlyPaintsNothing) {
  v1::GenerateRequest request = RedApple();
  request.set_validate_only(true);
  const StreamResult result = Generate(*server_, request);
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_TRUE(result.accepted.has_request());
  EXPECT_TRUE(result.images.empty());
}

TEST_F(GenerateTest, UnaryGivesTheSameBytes) {
  auto stub = server_->NewStub();
  grpc::ClientContext context;
  v1::GenerateImageRequest request;
  *request.mutable_request() = RedApple();
  v1::GenerateImageResponse response;
  const grpc::Status status = stub->GenerateImage(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.images_size(), 1);
  const StreamResult streamed = Generate(*server_, RedApple());
  ASSERT_EQ(streamed.images.size(), 1u);
  EXPECT_EQ(response.images(0).sha256(), streamed.images[0].sha256());
}

}  // namespace
}  // namespace stepcast::e2e
