#include "server/request/checks/picture_checks.h"

#include <string>
#include <vector>

#include "core/error_reason.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;

// Pictures as they are seen before they are decoded.
struct Sent {
  std::string field;
  int width = 64;
  int height = 64;
  Orientation orientation = kUpright;
};

absl::StatusOr<SharedRequest> Validate(const std::string& text, const std::vector<Sent>& sent,
                                       const LimitsConfig& limits = LimitsConfig()) {
  static const ModelRegistry& models = *new ModelRegistry(PictureModels());
  FixedSeed seeds(7);
  v1::GenerateRequest request = Wire("prompt: 'p' " + text);
  PictureFiles files;
  for (const Sent& picture : sent) {
    if (picture.field == kInitImage) request.set_init_image("");
    if (picture.field == kMaskImage) request.set_mask_image("");
    const PictureHeader header = {.width = picture.width, .height = picture.height, .orientation = picture.orientation};
    files.files.push_back({picture.field, "", header});
  }
  return ValidateRequest(request, models, limits, seeds, {.pictures = &files});
}

const Sent kInit = {kInitImage};
const Sent kMask = {kMaskImage};
const Sent kControl = {"control[0].image"};

TEST(PictureChecksTest, EachMistakeIsOneClearError) {
  const std::string painter = "model: 'painter' ";
  const struct {
    std::string text;
    std::vector<Sent> sent;
    const char* message;
  } rows[] = {
      {"", {kInit}, "init_image: got a picture; allowed: unset (texty does not encode pictures)"},
      {"strength: 0.5", {}, "strength: got 0.5; allowed: unset without init_image"},
      {"resize_mode: RESIZE_MODE_FIT", {}, "resize_mode: got RESIZE_MODE_FIT; allowed: unset without a picture"},
      {"invert: true", {}, "invert: got true; allowed: unset without init_image"},
      {"inpaint { blur: 1 }", {}, "inpaint: got a message; allowed: unset without mask_image"},
      {"control { }", {kControl}, "control: got 1 entry; allowed: unset (texty has no ControlNets)"},
      {"image_guidance_scale: 2", {}, "image_guidance_scale: got 2; allowed: unset (texty is not told what to change"},
      {painter, {kMask}, "mask_image: got a picture; allowed: unset without init_image"},
      {painter,
       {kInit, {kMaskImage, 64, 56}},
       "mask_image: got 64x56 pixels; allowed: 64x64 pixels, the size of init_image"},
      {painter + "strength: 0", {kInit}, "strength: got 0; allowed: above 0, at most 1"},
      {painter + "strength: -1", {kInit}, "strength: got -1; allowed: above 0, at most 1"},
      {painter + "strength: 2", {kInit}, "strength: got 2; allowed: above 0, at most 1"},
      {painter + "strength: nan", {kInit}, "strength: got nan; allowed: above 0, at most 1"},
      {painter + "strength: 0.04",
       {kInit},
       "strength: got 0.04, which leaves none of 20 steps to run; allowed: at least 0.05"},
      // 1 / 49 times 49 is less than 1, so the next number is told.
      {painter + "strength: 0.02 steps: 49", {kInit}, "allowed: at least 0.020408163265306124 with"},
      {painter + "strength: 1.0000001", {kInit}, "strength: got 1.0000001; allowed: above 0, at most 1"},
      {painter + "strength: 0.9 steps: 1", {kInit}, "which leaves none of 1 steps to run; allowed: at least 1"},
      {painter + "strength: 1 invert: true", {kInit}, "strength: got 1; allowed: unset beside invert"},
      {painter + "invert: true", {kInit, kMask}, "invert: got true; allowed: unset beside mask_image"},
      {painter + "width: 128",
       {kInit},
       "init_image: got 64x64 pixels; allowed: 128x64 pixels, or a resize_mode other than"},
      {painter,
       {{kInitImage, 4000, 3000}},
       "init_image: got 4000x3000 pixels; allowed: sides of 32..128 and 8192 pixels"},
      {painter, {{kInitImage, 16, 64}}, "init_image: got 16x64 pixels; allowed: sides of 32..128"},
      {painter + "resize_mode: 9", {kInit}, "resize_mode: got 9; allowed: RESIZE_MODE_EXACT, RESIZE_MODE_FIT"},
      {painter + "inpaint { blur: 65 }", {kInit, kMask}, "inpaint.blur: got 65; allowed: 0..64"},
      {painter + "inpaint { blur: nan }", {kInit, kMask}, "inpaint.blur: got nan; allowed: 0..64"},
      {painter + "inpaint { padding: 8 }",
       {kInit, kMask},
       "inpaint.padding: got 8; allowed: unset without inpaint.only_masked"},
      {painter + "inpaint { only_masked: true padding: 1025 }",
       {kInit, kMask},
       "inpaint.padding: got 1025; allowed: 0..1024"},
      {painter + "inpaint { fill: 3 }",
       {kInit, kMask},
       "inpaint.fill: got 3; allowed: INPAINT_FILL_ORIGINAL, INPAINT_FILL_NOISE"},
      {painter + "inpaint { blend_domain: 3 }",
       {kInit, kMask},
       "inpaint.blend_domain: got 3; allowed: BLEND_DOMAIN_LATENTS"},
      {painter + "resize_mode: RESIZE_MODE_FIT inpaint { only_masked: true }",
       {kInit, kMask},
       "resize_mode: got RESIZE_MODE_FIT; allowed: unset beside inpaint.only_masked"},
      {"model: 'inpainter'", {kInit}, "mask_image: got nothing; allowed: a picture (inpainter is made for inpainting)"},
      {"model: 'inpainter'", {}, "init_image: got nothing; allowed: a picture (inpainter is made for inpainting)"},
      {"model: 'instruct'", {}, "init_image: got nothing; allowed: a picture (instruct is told what to change in one)"},
      {"model: 'instruct'", {kInit, kMask}, "mask_image: got a picture; allowed: unset (instruct is told by words"},
      {"model: 'instruct' strength: 0.5", {kInit}, "strength: got 0.5; allowed: unset (instruct begins with noise"},
      {"model: 'instruct' image_guidance_scale: 31", {kInit}, "image_guidance_scale: got 31; allowed: 0..30"},
      {"model: 'instruct' invert: true",
       {kInit},
       "invert: got true; allowed: unset (instruct reads pictures in every step)"},
      {painter + "control { model: 'edges' }", {}, "control[0].image: got nothing; allowed: a picture"},
      {painter + "control { }",
       {kControl},
       "control[0].model: got nothing; allowed: one of edges, union, see Model.control_nets"},
      {painter + "control { model: 'depth' }",
       {kControl},
       "control[0].model: got \"depth\"; allowed: one of edges, union"},
      {painter + "control { model: 'edges' scale: 2.5 }", {kControl}, "control[0].scale: got 2.5; allowed: 0..2"},
      {painter + "control { model: 'edges' scale: inf }", {kControl}, "control[0].scale: got inf; allowed: 0..2"},
      {painter + "control { model: 'edges' start: 0.7 end: 0.5 }",
       {kControl},
       "control[0].start: got 0.7 after end 0.5; allowed: at most `end`"},
      {painter + "control { model: 'edges' control_type: 0 }",
       {kControl},
       "control[0].control_type: got 0; allowed: unset (edges knows one"},
      {painter + "control { model: 'union' }",
       {kControl},
       "control[0].control_type: got nothing; allowed: 0..2, the kind of picture"},
      {painter + "control { model: 'union' control_type: 3 }",
       {kControl},
       "control[0].control_type: got 3; allowed: 0..2"},
      {painter + "control { } control { } control { }",
       {},
       "control: got 3 entries; allowed: at most 2, see ServerLimits.max_control_inputs"},
      {painter + "control { model: 'edges' }",
       {{"control[0].image", 128, 64}, kInit},
       "init_image: got 64x64 pixels; allowed: 128x64"},
      {painter + "sent_pictures { field: 'init_image' sha256: 'ab' }",
       {},
       "sent_pictures[0]: got a picture of \"init_image\", which holds none; allowed: the picture with SHA-256 \"ab\""},
  };
  for (const auto& [text, sent, message] : rows) {
    const absl::Status status = Validate(text, sent).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << text;
  }
}

TEST(PictureChecksTest, WhatIsSetArrives) {
  const auto request = Validate(
      "model: 'painter' strength: 0.5 inpaint { blur: 4 only_masked: true padding: 9 invert: true "
      "fill: INPAINT_FILL_NOISE blend_domain: BLEND_DOMAIN_X0 differential: true } "
      "control { model: 'union' scale: 0.5 start: 0.1 end: 0.9 control_type: 2 guess_mode: true }",
      {{kInitImage, 300, 200}, {kMaskImage, 300, 200}, {"control[0].image", 300, 200}});
  ASSERT_TRUE(request.ok()) << request.status();
  const GenerationRequest& r = **request;
  EXPECT_EQ(r.strength, 0.5);
  ASSERT_TRUE(r.inpainting.has_value());
  EXPECT_EQ(r.inpainting->fill, InpaintFill::kNoise);
  EXPECT_EQ(r.inpainting->blend_domain, BlendDomain::kX0);
  EXPECT_TRUE(r.inpainting->differential);
  EXPECT_EQ(r.mask_settings.blur, 4.0);
  EXPECT_EQ(r.mask_settings.padding, 9);
  EXPECT_TRUE(r.mask_settings.invert);
  EXPECT_EQ(r.finished_width(), 300);
  EXPECT_EQ(r.finished_height(), 200);
  EXPECT_EQ(r.width, 64);
  ASSERT_EQ(r.control.size(), 1u);
  EXPECT_EQ(r.control[0].model, "union");
  EXPECT_EQ(r.control[0].scale, 0.5);
  EXPECT_EQ(r.control[0].start, 0.1);
  EXPECT_EQ(r.control[0].end, 0.9);
  EXPECT_EQ(r.control[0].control_type, 2);
  EXPECT_TRUE(r.control[0].guess_mode);
}

TEST(PictureChecksTest, DefaultStrengthIsTheModels) {
  EXPECT_EQ((*Validate("model: 'painter'", {kInit}))->strength, 0.8);
  EXPECT_EQ((*Validate("model: 'inpainter'", {kInit, kMask}))->strength, 1.0);
  EXPECT_EQ((*Validate("model: 'instruct'", {kInit}))->image_guidance_scale, 1.5);
}

TEST(PictureChecksTest, APictureGivesTheSize) {
  const struct {
    std::string text;
    std::vector<Sent> sent;
    int width;
    int height;
  } rows[] = {
      {"", {{kInitImage, 72, 40}}, 72, 40},
      {"", {{kInitImage, 79, 47}}, 72, 40},     // rounded down to the model's multiple
      {"", {{kInitImage, 72, 40, 6}}, 40, 72},  // upright
      {"width: 72", {{kInitImage, 72, 40}}, 72, 40},
      {"width: 72 height: 40", {{kInitImage, 79, 47}}, 72, 40},
      {"resize_mode: RESIZE_MODE_EXACT", {{kInitImage, 72, 40}}, 72, 40},
      {"resize_mode: RESIZE_MODE_COVER", {{kInitImage, 4000, 3000}}, 64, 64},
      {"resize_mode: RESIZE_MODE_FIT width: 96", {{kInitImage, 4000, 3000}}, 96, 64},
      {"control { model: 'edges' }", {{"control[0].image", 40, 96}}, 40, 96},
  };
  for (const auto& [text, sent, width, height] : rows) {
    const auto request = Validate("model: 'painter' " + text, sent);
    ASSERT_TRUE(request.ok()) << text << request.status();
    EXPECT_EQ((*request)->width, width) << text;
    EXPECT_EQ((*request)->height, height) << text;
  }
}

// What is wrong with files alone has a reason of its own; beside other mistakes it is one of them.
TEST(PictureChecksTest, FilesThatCannotBeRead) {
  const ModelRegistry models = PictureModels();
  FixedSeed seeds(7);
  const struct {
    std::string bytes;
    std::string text;
    const char* reason;
  } rows[] = {
      {"GIF89a", "", "IMAGE_UNDECODABLE"},
      {"", "", "IMAGE_UNDECODABLE"},
      {std::string("\xff\xd8\xff", 3) + std::string(11 << 20, 'x'), "", "IMAGE_TOO_LARGE"},
      {"GIF89a", "steps: -1", "FIELD_INVALID"},
  };
  for (const auto& [bytes, text, reason] : rows) {
    v1::GenerateRequest request = Wire("model: 'painter' prompt: 'p' " + text);
    request.set_init_image(bytes);
    const PictureFiles files = TakePictures(request, {});
    EXPECT_TRUE(request.init_image().empty());
    const absl::Status status = ValidateRequest(request, models, LimitsConfig(), seeds, {.pictures = &files}).status();
    EXPECT_EQ(ReasonOf(status), reason);
    EXPECT_THAT(std::string(status.message()), HasSubstr("init_image: file ")) << reason;
  }
}

// A model that cannot do without pictures is no misfit.
TEST(PictureChecksTest, ModelsThatNeedPicturesFitTheLimits) {
  EXPECT_TRUE(FindMisfits(PictureModels(), LimitsConfig()).empty());
}

// A weak change is little work, an inversion is a picture's twice.
TEST(PictureChecksTest, WorkIsThatOfTheStepsThatAreRun) {
  LimitsConfig limits;
  // 64 x 64 pixels, 20 steps, two rows.
  limits.max_megapixel_steps = 20 * 2 * 4096e-6;
  const std::string painter = "model: 'painter' guidance_scale: 3 ";
  EXPECT_TRUE(Validate(painter + "steps: 20", {}, limits).ok());
  EXPECT_EQ(ReasonOf(Validate(painter + "steps: 21", {}, limits).status()), "WORK_LIMIT");
  EXPECT_TRUE(Validate(painter + "steps: 40 strength: 0.5", {kInit}, limits).ok());
  EXPECT_EQ(ReasonOf(Validate(painter + "steps: 42 strength: 0.5", {kInit}, limits).status()), "WORK_LIMIT");
  EXPECT_TRUE(Validate(painter + "steps: 10 invert: true", {kInit}, limits).ok());
  EXPECT_EQ(ReasonOf(Validate(painter + "steps: 11 invert: true", {kInit}, limits).status()), "WORK_LIMIT");
  // Three rows, or one where diffusers does without guidance.
  limits.max_megapixel_steps = 20 * 3 * 4096e-6;
  const std::string instruct = "model: 'instruct' guidance_scale: 3 ";
  EXPECT_TRUE(Validate(instruct + "steps: 20", {kInit}, limits).ok());
  EXPECT_EQ(ReasonOf(Validate(instruct + "steps: 21", {kInit}, limits).status()), "WORK_LIMIT");
  EXPECT_TRUE(Validate(instruct + "steps: 40 image_guidance_scale: 0.99", {kInit}, limits).ok());
}

}  // namespace
}  // namespace stepcast
