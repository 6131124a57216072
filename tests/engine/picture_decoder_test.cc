#include "engine/codecs/picture_decoder.h"

#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/fake_bundle.h"

namespace stepcast::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr float kLargest = 100.0f;  // of latents that the imprecise decoder can stand

// Shows the first latent channel as grey. In less than float32 large numbers come out as infinite.
class GreyCodec final : public model::LatentCodec {
 public:
  explicit GreyCodec(c10::ScalarType dtype) : dtype_(dtype) {}

  at::Tensor Decode(const at::Tensor& latents) const override {
    const at::Tensor grey = latents.narrow(1, 0, 1).expand({-1, 3, -1, -1});
    if (dtype_ == c10::ScalarType::Float) return grey.div(1000.0).contiguous();
    return at::where(grey.gt(kLargest), std::numeric_limits<float>::infinity(), grey.div(1000.0));
  }
  c10::ScalarType dtype() const override { return dtype_; }

 private:
  const c10::ScalarType dtype_;
};

// A bundle whose codec alone is asked.
class GreyBundle final : public model::ModelBundle {
 public:
  explicit GreyBundle(c10::ScalarType dtype) : rest_(MakeFakeBundle("grey", &script_)), codec_(dtype) {}

  const SharedModelInfo& info() const override { return rest_->info(); }
  const model::Conditioner& conditioner() const override { return rest_->conditioner(); }
  const model::Denoiser& denoiser() const override { return rest_->denoiser(); }
  const model::LatentCodec& codec() const override { return codec_; }
  const model::PreviewDecoder& preview() const override { return rest_->preview(); }
  absl::StatusOr<std::unique_ptr<const model::LatentCodec>> LoadPreciseCodec() const override {
    ++loads;
    TORCH_CHECK_WITH(OutOfMemoryError, fits, "no room for another decoder");
    if (!there) return absl::NotFoundError("the file is gone");
    return std::make_unique<const GreyCodec>(c10::ScalarType::Float);
  }
  c10::Device device() const override { return c10::Device(c10::DeviceType::CPU); }
  c10::ScalarType dtype() const override { return c10::ScalarType::Half; }
  const std::vector<std::string>& warnings() const override { return rest_->warnings(); }

  mutable int loads = 0;
  bool fits = true;
  bool there = true;

 private:
  FakeScript script_;
  std::shared_ptr<const model::ModelBundle> rest_;
  GreyCodec codec_;
};

class PictureDecoderTest : public ::testing::Test {
 protected:
  std::vector<SharedImage> Decode(const GreyBundle& bundle, const std::vector<float>& pictures) {
    std::vector<at::Tensor> latents;
    for (const float value : pictures) latents.push_back(at::full({4, 2, 2}, value));
    return decoder_.Decode(bundle, latents, /*tiled=*/false);
  }

  std::vector<std::string> log_;
  TorchGuard guard_{[this](std::string_view text) { log_.emplace_back(text); }};
  PreciseCodecs precise_{[this](std::string_view text) { log_.emplace_back(text); }, guard_};
  PictureDecoder decoder_{precise_};
};

TEST_F(PictureDecoderTest, AnOverflowIsDecodedAgainAloneAndToldOnce) {
  const GreyBundle bundle(c10::ScalarType::Half);
  const std::vector<SharedImage> images = Decode(bundle, {50, 500, 0});
  ASSERT_THAT(images, SizeIs(3));
  for (const SharedImage& image : images) ASSERT_NE(image, nullptr);
  EXPECT_EQ(images[0]->pixels[0], 134) << "255 * (50 / 1000 / 2 + 0.5)";
  EXPECT_EQ(images[1]->pixels[0], 191) << "255 * (500 / 1000 / 2 + 0.5)";
  EXPECT_EQ(bundle.loads, 1);
  ASSERT_THAT(log_, SizeIs(1));
  EXPECT_THAT(log_[0], HasSubstr("model 'grey'"));
  EXPECT_THAT(log_[0], HasSubstr("fp16"));
  Decode(bundle, {500, 600});
  EXPECT_EQ(bundle.loads, 1) << "kept";
  EXPECT_THAT(log_, SizeIs(1)) << "told once";
}

TEST_F(PictureDecoderTest, TheSecondDecoderIsLetGoAndLoadedAgainAtNeed) {
  const GreyBundle bundle(c10::ScalarType::Half);
  EXPECT_FALSE(precise_.Forget());
  Decode(bundle, {50});
  EXPECT_EQ(bundle.loads, 0) << "not before it is needed";
  Decode(bundle, {500});
  EXPECT_TRUE(precise_.Forget());
  EXPECT_FALSE(precise_.Forget());
  EXPECT_NE(Decode(bundle, {500})[0], nullptr);
  EXPECT_EQ(bundle.loads, 2);
}

TEST_F(PictureDecoderTest, NothingIsKeptOfAModelThatWasUnloaded) {
  std::weak_ptr<const ModelInfo> info;
  {
    const GreyBundle unloaded(c10::ScalarType::Half);
    Decode(unloaded, {500});
    info = unloaded.info();
  }
  const GreyBundle reloaded(c10::ScalarType::Half);
  Decode(reloaded, {500});
  EXPECT_TRUE(info.expired());
  EXPECT_EQ(reloaded.loads, 1);
}

TEST_F(PictureDecoderTest, WhatMorePrecisionCannotSaveIsNoPicture) {
  const GreyBundle bundle(c10::ScalarType::Half);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<SharedImage> images = Decode(bundle, {nan, 50});
  EXPECT_EQ(images[0], nullptr);
  EXPECT_NE(images[1], nullptr);
  EXPECT_EQ(bundle.loads, 0) << "the latents themselves are no numbers";
}

TEST_F(PictureDecoderTest, WithoutASecondDecoderTheOtherPicturesAreThere) {
  GreyBundle gone(c10::ScalarType::Half);
  gone.there = false;
  std::vector<SharedImage> images = Decode(gone, {500, 50});
  EXPECT_EQ(images[0], nullptr);
  EXPECT_NE(images[1], nullptr);
  EXPECT_THAT(log_.back(), HasSubstr("the file is gone"));
  GreyBundle large(c10::ScalarType::BFloat16);
  large.fits = false;
  images = Decode(large, {500, 50});
  EXPECT_EQ(images[0], nullptr);
  EXPECT_NE(images[1], nullptr);
}

TEST_F(PictureDecoderTest, FullPrecisionIsNotTriedTwice) {
  const GreyBundle bundle(c10::ScalarType::Float);
  EXPECT_EQ(Decode(bundle, {std::numeric_limits<float>::infinity()})[0], nullptr);
  EXPECT_EQ(bundle.loads, 0);
  EXPECT_TRUE(log_.empty());
}

}  // namespace
}  // namespace stepcast::engine
