#include "sampling/recipe/picture_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "sampling/recipe/request_recipe.h"

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;

SharedProgram Program(int evaluations, bool guided = true) {
  auto program = std::make_shared<SamplingProgram>();
  program->steps = evaluations;
  program->evaluations.resize(static_cast<size_t>(evaluations));
  for (int i = 0; i < evaluations; ++i) {
    Evaluation& evaluation = program->evaluations[static_cast<size_t>(i)];
    evaluation.step = i;
    if (guided) evaluation.guidance.kind = GuidanceKind::kClassifierFree;
  }
  return program;
}

InputPicture Picture() {
  return {.image = std::make_shared<Image>(Image{16, 8, std::vector<uint8_t>(16 * 8 * 3)}), .sha256 = "a"};
}

// Everything right of the middle.
Inpainting RightHalf() {
  auto mask = std::make_shared<Mask>(Mask{.width = 16, .height = 8, .values = {}});
  for (int i = 0; i < 16 * 8; ++i) mask->values.push_back(i % 16 < 8 ? 0 : 255);
  return {.mask = mask};
}

GenerationRequest Request(ImageInput reads = ImageInput::kNone) {
  auto model = std::make_shared<ModelInfo>();
  model->id = "m";
  model->image_input = reads;
  model->encodes_pictures = true;
  GenerationRequest request;
  request.model = model;
  request.prompt_parts = {{.tokens = {.ids = {{1}}}}};
  request.negative_tokens = {.ids = {{2}}};
  request.width = 16;
  request.height = 8;
  request.init_image = Picture();
  return request;
}

Recipe Made(const GenerationRequest& request) {
  Recipe recipe = *RecipeOf(request, Program(4));
  EXPECT_TRUE(CheckRecipe(recipe).ok()) << CheckRecipe(recipe);
  return recipe;
}

TEST(PictureInputsTest, ImageToImageBeginsWithThePicture) {
  GenerationRequest request = Request();
  request.strength = 0.6;
  const Recipe recipe = Made(request);
  const Stage& stage = recipe.stages.front();
  EXPECT_EQ(stage.start, StageStart::kPicture);
  EXPECT_EQ(recipe.pictures[static_cast<size_t>(stage.start_picture)].use, PictureUse::kSample);
  EXPECT_EQ(recipe.pictures.size(), 1u);
  EXPECT_FALSE(stage.blend.has_value());
  EXPECT_EQ(stage.spare_draws, 0);
  EXPECT_TRUE(DrawsBeforeNoise(stage, 0));
  EXPECT_EQ(StrengthOf(request), 0.6);
}

TEST(PictureInputsTest, NothingIsAddedToARequestWithoutPictures) {
  GenerationRequest request = Request();
  request.init_image = {};
  const Recipe recipe = Made(request);
  EXPECT_TRUE(recipe.pictures.empty());
  EXPECT_EQ(recipe.stages.front().start, StageStart::kNoise);
  EXPECT_EQ(StrengthOf(request), std::nullopt);
}

TEST(PictureInputsTest, FourChannelsBlend) {
  GenerationRequest request = Request();
  request.inpainting = RightHalf();
  const Recipe recipe = Made(request);
  const Stage& stage = recipe.stages.front();
  EXPECT_EQ(stage.start, StageStart::kPicture);
  ASSERT_TRUE(stage.blend.has_value());
  EXPECT_EQ(stage.blend->picture, stage.start_picture) << "one encode, one draw";
  EXPECT_THAT(stage.blend->mask->values, ElementsAre(0.0f, 1.0f));
  EXPECT_EQ(stage.spare_draws, 1);
  EXPECT_EQ(stage.noise_fill, nullptr);
  request.inpainting->fill = InpaintFill::kNoise;
  EXPECT_THAT(Made(request).stages.front().noise_fill->values, ElementsAre(0.0f, 1.0f));
}

TEST(PictureInputsTest, FullStrengthRepaintsFromNoiseAlone) {
  GenerationRequest request = Request();
  request.inpainting = RightHalf();
  request.strength = 1.0;
  const Recipe recipe = Made(request);
  EXPECT_EQ(StrengthOf(request), std::nullopt);
  EXPECT_EQ(recipe.stages.front().start, StageStart::kNoise);
  EXPECT_TRUE(recipe.stages.front().blend.has_value());
  request.inpainting.reset();
  EXPECT_EQ(StrengthOf(request), 1.0) << "without a mask the picture shines through";
}

TEST(PictureInputsTest, NineChannelsSeeMaskAndPicture) {
  GenerationRequest request = Request(ImageInput::kMaskAndPicture);
  request.inpainting = RightHalf();
  Recipe recipe = Made(request);
  const Stage* stage = &recipe.stages.front();
  ASSERT_EQ(stage->inputs.size(), 1u);
  ASSERT_EQ(stage->inputs[0].size(), 2u);
  EXPECT_THAT(stage->inputs[0][0].map->values, ElementsAre(0.0f, 1.0f));
  const PictureSource& shown = recipe.pictures[static_cast<size_t>(stage->inputs[0][1].picture)];
  EXPECT_EQ(shown.erased, request.inpainting->mask);
  EXPECT_EQ(shown.use, PictureUse::kSample);
  EXPECT_FALSE(DrawsBeforeNoise(*stage, stage->inputs[0][1].picture));
  EXPECT_FALSE(stage->blend.has_value());
  EXPECT_EQ(stage->spare_draws, 0);
  request.strength = 1.0;
  recipe = Made(request);
  EXPECT_EQ(recipe.pictures.size(), 1u) << "the whole picture is nowhere needed";
  request.inpainting->blend_domain = BlendDomain::kX0;
  EXPECT_TRUE(Made(request).stages.front().blend.has_value());
}

TEST(PictureInputsTest, WordsThatChangeAPictureAreAThirdRow) {
  GenerationRequest request = Request(ImageInput::kPicture);
  request.image_guidance_scale = 1.5;
  const Recipe recipe = Made(request);
  const Stage& stage = recipe.stages.front();
  EXPECT_EQ(stage.start, StageStart::kNoise);
  EXPECT_EQ(StrengthOf(request), std::nullopt);
  ASSERT_EQ(recipe.pictures.size(), 1u);
  EXPECT_EQ(recipe.pictures[0].use, PictureUse::kMode);
  ASSERT_EQ(stage.row_sets.size(), 2u);
  ASSERT_EQ(stage.row_sets[1].size(), 3);
  float sum = 0.0f;
  for (const Row& row : stage.row_sets[1].rows) sum += row.guided.At(7.0f);
  EXPECT_FLOAT_EQ(sum, 1.0f);
  EXPECT_EQ(stage.row_sets[1].rows[0].inputs, kShowsNoPicture);
  EXPECT_EQ(stage.row_sets[0].rows[0].inputs, kShowsPicture);
  EXPECT_EQ(stage.inputs[kShowsNoPicture][0].zeros, 4);
}

TEST(PictureInputsTest, DifferentialMasksAreGrey) {
  GenerationRequest request = Request();
  request.inpainting = RightHalf();
  request.inpainting->differential = true;
  EXPECT_TRUE(Made(request).stages.front().blend->differential);
}

TEST(PictureInputsTest, ControlHasItsWindow) {
  GenerationRequest request = Request();
  request.init_image = {};
  const auto window = [&](double start, double end) {
    request.control = {{.model = "edges", .image = Picture(), .scale = 0.5, .start = start, .end = end}};
    const StageControl control = Made(request).stages.front().control.front();
    return std::pair(control.first_evaluation, control.end_evaluation);
  };
  EXPECT_EQ(window(0.0, 1.0), std::pair(0, 4));
  EXPECT_EQ(window(0.25, 0.75), std::pair(1, 3));
  EXPECT_EQ(window(0.3, 0.7), std::pair(2, 2)) << "no step lies within";
  EXPECT_EQ(window(0.0, 0.1), std::pair(0, 0));
}

// As diffusers: a picture is guided by only where image_guidance_scale is at least 1.
TEST(PictureInputsTest, BelowOneThePictureTurnsGuidanceOff) {
  GenerationRequest request;
  ModelInfo model;
  model.image_input = ImageInput::kPicture;
  request.model = std::make_shared<const ModelInfo>(model);
  request.guidance_scale = 7.0;
  request.image_guidance_scale = 1.0;
  EXPECT_EQ(GuidanceOf(request), 7.0);
  request.image_guidance_scale = 0.99;
  EXPECT_EQ(GuidanceOf(request), 1.0);
  model.image_input = ImageInput::kNone;
  request.model = std::make_shared<const ModelInfo>(model);
  EXPECT_EQ(GuidanceOf(request), 7.0) << "other models are told of no picture";
}

}  // namespace
}  // namespace stepcast::sampling
