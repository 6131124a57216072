#include "server/request/pictures/read_pictures.h"

#include <string>

#include "codec/pixels/mask_operations.h"
#include "codec/pixels/resize.h"
#include "core/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A ramp, so that no two rows or columns are the same.
Image Ramp(int width, int height) {
  Image image = {.width = width, .height = height, .pixels = {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const int value : {x, y, x + y}) image.pixels.push_back(static_cast<uint8_t>(value));
    }
  }
  return image;
}

std::string Png(const Image& image) { return *EncodeImage(image, {}); }

// White where `box` is.
std::string MaskPng(int width, int height, const Region& box) {
  Image image = {.width = width, .height = height, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(3 * width * height));
  for (int y = box.top; y < box.top + box.height; ++y) {
    for (int x = box.left; x < box.left + box.width; ++x) {
      for (int channel = 0; channel < 3; ++channel)
        image.pixels[static_cast<size_t>(3 * (y * width + x) + channel)] = 255;
    }
  }
  return Png(image);
}

absl::StatusOr<SharedRequest> Read(v1::GenerateRequest request) {
  const ModelRegistry models = PictureModels();
  FixedSeed seeds(7);
  PictureFiles files = TakePictures(request, {});
  const auto checked = ValidateRequest(request, models, LimitsConfig(), seeds, {.pictures = &files});
  if (!checked.ok()) return checked.status();
  return ReadPictures(**checked, std::move(files), {}, [] { return true; });
}

v1::GenerateRequest Painter(const std::string& text = "") { return Wire("model: 'painter' prompt: 'p' " + text); }

TEST(ReadPicturesTest, APictureOfTheRightSizeIsTakenAsItIs) {
  v1::GenerateRequest wire = Painter();
  const Image image = Ramp(72, 40);
  wire.set_init_image(Png(image));
  const auto request = Read(wire);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ((*request)->init_image.image->pixels, image.pixels);
  EXPECT_EQ((*request)->init_image.sha256.size(), 64u);
  EXPECT_THAT((*request)->sent_pictures, ElementsAre(SentPicture{"init_image", Sha256Hex(wire.init_image()), 72, 40}));
}

TEST(ReadPicturesTest, EqualPixelsHaveEqualNamesWhateverTheFile) {
  v1::GenerateRequest wire = Painter();
  wire.set_init_image(Png(Ramp(64, 64)));
  const std::string first = (*Read(wire))->init_image.sha256;
  wire.set_init_image(*EncodeImage(Ramp(64, 64), {.texts = {.parameters = "another file"}}));
  EXPECT_EQ((*Read(wire))->init_image.sha256, first);
  wire.set_init_image(Png(Ramp(64, 72)));
  EXPECT_NE((*Read(wire))->init_image.sha256, first);
}

TEST(ReadPicturesTest, PicturesAndMasksAreResizedAlike) {
  for (const ResizeMode mode : {ResizeMode::kFit, ResizeMode::kCover, ResizeMode::kStretch}) {
    v1::GenerateRequest wire = Painter("width: 64 height: 48 control { model: 'edges' }");
    wire.set_resize_mode(static_cast<v1::ResizeMode>(static_cast<int>(mode) + 1));
    const Image image = Ramp(100, 90);
    wire.set_init_image(Png(image));
    wire.set_mask_image(MaskPng(100, 90, {10, 10, 30, 20}));
    wire.mutable_control(0)->set_image(Png(Ramp(33, 200)));
    const auto request = Read(wire);
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_EQ((*request)->init_image.image->pixels, Resize({100, 90, 3, image.pixels}, 64, 48, mode).values);
    EXPECT_EQ((*request)->control[0].image.image->pixels,
              Resize({33, 200, 3, Ramp(33, 200).pixels}, 64, 48, mode).values);
    const Mask& mask = *(*request)->inpainting->mask;
    EXPECT_EQ(mask.width, 64);
    EXPECT_EQ(mask.height, 48);
    const Mask sent = *DecodeMask(MaskPng(100, 90, {10, 10, 30, 20}), {});
    EXPECT_EQ(mask.values, Resize({100, 90, 1, sent.values}, 64, 48, mode).values);
  }
}

TEST(ReadPicturesTest, AMaskIsInvertedThenBlurred) {
  v1::GenerateRequest wire = Painter("inpaint { invert: true blur: 2 }");
  wire.set_init_image(Png(Ramp(64, 64)));
  wire.set_mask_image(MaskPng(64, 64, {16, 16, 32, 32}));
  Mask expected = *DecodeMask(wire.mask_image(), {});
  InvertMask(&expected);
  BlurMask(&expected, 2.0);
  const auto request = Read(wire);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ((*request)->inpainting->mask->values, expected.values);
}

TEST(ReadPicturesTest, OnlyMaskedCutsThePartOutOfEverything) {
  v1::GenerateRequest wire =
      Painter("inpaint { only_masked: true padding: 4 blur: 1 } width: 64 height: 64 control { model: 'edges' }");
  const Image image = Ramp(120, 100);
  wire.set_init_image(Png(image));
  wire.set_mask_image(MaskPng(120, 100, {50, 40, 20, 10}));
  wire.mutable_control(0)->set_image(Png(image));
  const auto request = Read(wire);
  ASSERT_TRUE(request.ok()) << request.status();
  const GenerationRequest& r = **request;
  Mask mask = *DecodeMask(wire.mask_image(), {});
  BlurMask(&mask, 1.0);
  const Region part = CropRegion(*BoundsOf(mask), {.padding = 4, .width = 64, .height = 64}, 120, 100);
  ASSERT_TRUE(r.paste_back.has_value());
  EXPECT_EQ(r.paste_back->left, part.left);
  EXPECT_EQ(r.paste_back->top, part.top);
  EXPECT_EQ(r.paste_back->width, part.width);
  EXPECT_EQ(r.paste_back->height, part.height);
  EXPECT_EQ(r.paste_back->original->pixels, image.pixels);
  EXPECT_EQ(r.paste_back->mask->values, mask.values);
  const auto expected = Resize(Crop({120, 100, 3, image.pixels}, part), 64, 64, ResizeMode::kFit).values;
  EXPECT_EQ(r.init_image.image->pixels, expected);
  EXPECT_EQ(r.control[0].image.image->pixels, expected);
  EXPECT_EQ(r.inpainting->mask->values,
            Resize(Crop({120, 100, 1, mask.values}, part), 64, 64, ResizeMode::kFit).values);
}

TEST(ReadPicturesTest, AMaskThatRepaintsNothing) {
  v1::GenerateRequest wire = Painter();
  wire.set_init_image(Png(Ramp(64, 64)));
  wire.set_mask_image(MaskPng(64, 64, {}));
  const auto request = Read(wire);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT((*request)->warnings, ElementsAre(HasSubstr("mask_image repaints nothing")));
  wire.mutable_inpaint()->set_only_masked(true);
  EXPECT_THAT(std::string(Read(wire).status().message()), HasSubstr("mask_image: got a mask that repaints nothing"));
}

TEST(ReadPicturesTest, WhatBreaksOffWhileItIsDecodedNamesItsField) {
  v1::GenerateRequest wire = Painter("control { model: 'edges' }");
  wire.set_init_image(Png(Ramp(64, 64)));
  const std::string whole = Png(Ramp(64, 64));
  wire.mutable_control(0)->set_image(whole.substr(0, whole.size() / 2));
  const absl::Status status = Read(wire).status();
  EXPECT_EQ(ReasonOf(status), "IMAGE_UNDECODABLE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("control[0].image: PNG is damaged"));
}

// Told back and sent again with its pictures a request is the same; with others it is refused.
TEST(ReadPicturesTest, SentAgainItIsTheSame) {
  v1::GenerateRequest wire = Painter(
      "strength: 0.5 inpaint { blur: 2 } resize_mode: RESIZE_MODE_COVER "
      "control { model: 'edges' scale: 0.5 }");
  wire.set_init_image(Png(Ramp(100, 90)));
  wire.set_mask_image(MaskPng(100, 90, {10, 10, 30, 20}));
  wire.mutable_control(0)->set_image(Png(Ramp(64, 64)));
  const auto request = Read(wire);
  ASSERT_TRUE(request.ok()) << request.status();
  v1::GenerateRequest told = ToEffectiveRequest(**request);
  EXPECT_FALSE(told.has_init_image());
  EXPECT_FALSE(told.has_mask_image());
  EXPECT_EQ(told.control(0).image(), "");
  EXPECT_EQ(told.sent_pictures_size(), 3);
  EXPECT_THAT(std::string(Read(told).status().message()),
              HasSubstr("sent_pictures[0]: got a picture of \"init_image\""));

  told.set_init_image(wire.init_image());
  told.set_mask_image(wire.mask_image());
  told.mutable_control(0)->set_image(wire.control(0).image());
  const auto again = Read(told);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ToEffectiveRequest(**again).SerializeAsString(), ToEffectiveRequest(**request).SerializeAsString());
  EXPECT_EQ((*again)->init_image.sha256, (*request)->init_image.sha256);

  told.set_init_image(Png(Ramp(100, 91)));
  told.set_mask_image(MaskPng(100, 91, {10, 10, 30, 20}));
  EXPECT_THAT(std::string(Read(told).status().message()),
              HasSubstr("mask_image: got a picture of 100x91 with SHA-256"));
}

TEST(ReadPicturesTest, NobodyWaits) {
  v1::GenerateRequest wire = Painter();
  wire.set_init_image(Png(Ramp(64, 64)));
  PictureFiles files = TakePictures(wire, {});
  const ModelRegistry models = PictureModels();
  FixedSeed seeds(7);
  const auto checked = ValidateRequest(wire, models, LimitsConfig(), seeds, {.pictures = &files});
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_TRUE(absl::IsCancelled(ReadPictures(**checked, std::move(files), {}, [] { return false; }).status()));
}

// What is counted before is never less than what is kept.
TEST(ReadPicturesTest, KeptBytesAreCounted) {
  v1::GenerateRequest wire = Painter("inpaint { only_masked: true }");
  wire.set_init_image(Png(Ramp(120, 100)));
  wire.set_mask_image(MaskPng(120, 100, {50, 40, 20, 10}));
  const PictureFiles files = TakePictures(wire, {});
  const ModelRegistry models = PictureModels();
  FixedSeed seeds(7);
  const auto checked = ValidateRequest(wire, models, LimitsConfig(), seeds, {.pictures = &files});
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(KeptBytes(**checked, files), 4 * (64 * 64 + 120 * 100));
}

}  // namespace
}  // namespace stepcast
