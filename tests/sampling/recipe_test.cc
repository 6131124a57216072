#include "sampling/recipe/request_recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;

SharedProgram Program(bool guided) {
  auto program = std::make_shared<SamplingProgram>();
  program->steps = 2;
  program->evaluations.resize(2);
  program->evaluations[1].step = 1;
  if (guided) program->evaluations[0].guidance.kind = GuidanceKind::kClassifierFree;
  return program;
}

GenerationRequest TextRequest() {
  auto model = std::make_shared<ModelInfo>();
  model->id = "m";
  GenerationRequest request;
  request.model = model;
  request.prompt_parts = {{.tokens = {.ids = {{1, 2, 3}}}}};
  request.negative_tokens = {.ids = {{1, 9, 3}}};
  request.clip_skip = 1;
  request.width = 64;
  request.height = 96;
  return request;
}

TEST(RecipeTest, APlainPictureIsOneStage) {
  const SharedRecipe recipe = RecipeOf(TextRequest(), Program(/*guided=*/true));
  ASSERT_EQ(recipe->stages.size(), 1u);
  const Stage& stage = recipe->stages.front();
  EXPECT_EQ(stage.latent_height, 12);
  EXPECT_EQ(stage.latent_width, 8);
  ASSERT_EQ(stage.row_sets.size(), 2u);
  EXPECT_EQ(stage.row_sets[0].rows, PlainRow(0).rows);
  EXPECT_EQ(stage.row_sets[1].rows, PlainPair(1, 0).rows);
  EXPECT_EQ(stage.RowsOf(stage.program->evaluations[0]).size(), 2);
  EXPECT_EQ(stage.RowsOf(stage.program->evaluations[1]).size(), 1);
  ASSERT_EQ(recipe->conditionings.size(), 2u);
  EXPECT_THAT(recipe->conditionings[0].text.ids, ElementsAre(ElementsAre(1, 2, 3)));
  EXPECT_EQ(recipe->conditionings[0].clip_skip, 1);
  EXPECT_THAT(recipe->conditionings[1].text.ids, ElementsAre(ElementsAre(1, 9, 3)));
  EXPECT_EQ(recipe->conditionings[1].clip_skip, 0) << "of the positive prompt alone";
  EXPECT_TRUE(CheckRecipe(*recipe).ok());
}

TEST(RecipeTest, WhatNobodyLooksAtIsNotThere) {
  const SharedRecipe recipe = RecipeOf(TextRequest(), Program(/*guided=*/false));
  EXPECT_EQ(recipe->conditionings.size(), 1u);
  EXPECT_EQ(recipe->stages.front().row_sets.size(), 1u);
  EXPECT_TRUE(CheckRecipe(*recipe).ok());
}

TEST(RecipeTest, EqualInputsAreOne) {
  GenerationRequest request = TextRequest();
  request.negative_tokens = request.prompt_parts.front().tokens;
  request.clip_skip = 0;
  const SharedRecipe recipe = RecipeOf(request, Program(/*guided=*/true));
  EXPECT_EQ(recipe->conditionings.size(), 1u);
  EXPECT_EQ(recipe->stages.front().row_sets[1].rows, PlainPair(0, 0).rows);
}

TEST(RecipeTest, A1111SkipsLayersOfBothPrompts) {
  GenerationRequest request = TextRequest();
  request.prompt_syntax = PromptSyntax::kA1111;
  const SharedRecipe recipe = RecipeOf(request, Program(/*guided=*/true));
  EXPECT_EQ(recipe->conditionings[0].clip_skip, 1);
  EXPECT_EQ(recipe->conditionings[1].clip_skip, 1);
}

TEST(RecipeTest, PromptsThatAreFollowedAtOnceAreRows) {
  GenerationRequest request = TextRequest();
  request.prompt_parts.push_back({.tokens = {.ids = {{4, 5, 6}}}, .weight = 0.5});
  const SharedRecipe recipe = RecipeOf(request, Program(/*guided=*/true));
  EXPECT_TRUE(CheckRecipe(*recipe).ok());
  ASSERT_EQ(recipe->conditionings.size(), 3u);
  const std::vector<Row>& unguided = recipe->stages.front().row_sets[0].rows;
  ASSERT_EQ(unguided.size(), 3u) << "the weights do not add up to 1";
  EXPECT_EQ(unguided[0].guided, (Weight{.constant = -0.5f}));
  EXPECT_EQ(unguided[1].guided, (Weight{.constant = 1.0f}));
  EXPECT_EQ(unguided[2].guided, (Weight{.constant = 0.5f}));
  const std::vector<Row>& guided = recipe->stages.front().row_sets[1].rows;
  ASSERT_EQ(guided.size(), 3u);
  EXPECT_EQ(guided[0].conditioning, 2);
  EXPECT_EQ(guided[0].guided, (Weight{.constant = 1.0f, .per_scale = -1.5f}));
  EXPECT_EQ(guided[1].guided, (Weight{.per_scale = 1.0f}));
  EXPECT_EQ(guided[2].guided, (Weight{.per_scale = 0.5f}));
  // Rescaled guidance is measured by the prompts' mean.
  EXPECT_TRUE(guided[0].cond.never());
  EXPECT_NEAR(guided[1].cond.constant, 2.0 / 3, 1e-6);
  EXPECT_NEAR(guided[2].cond.constant, 1.0 / 3, 1e-6);
}

TEST(RecipeTest, WeightsOfOneNeedNoOtherRow) {
  GenerationRequest request = TextRequest();
  request.prompt_parts.front().weight = 0.75;
  request.prompt_parts.push_back({.tokens = {.ids = {{4, 5, 6}}}, .weight = 0.25});
  const SharedRecipe recipe = RecipeOf(request, Program(/*guided=*/false));
  EXPECT_EQ(recipe->stages.front().row_sets[0].size(), 2);
  request.prompt_parts[1].weight = -0.75;
  const SharedRecipe cancelled = RecipeOf(request, Program(/*guided=*/true));
  EXPECT_TRUE(CheckRecipe(*cancelled).ok());
  EXPECT_EQ(cancelled->stages.front().row_sets[1].rows[1].cond.constant, 0.5f) << "there is no weighted mean";
}

TEST(RecipeTest, ClassesAreGuidedAwayFromAnyClass) {
  GenerationRequest request = TextRequest();
  auto model = std::make_shared<ModelInfo>();
  model->conditioning = ConditioningKind::kClassLabel;
  request.model = model;
  request.class_index = 7;
  const SharedRecipe recipe = RecipeOf(request, Program(/*guided=*/true));
  ASSERT_EQ(recipe->conditionings.size(), 2u);
  EXPECT_EQ(recipe->conditionings[0], (ConditioningInput{.class_index = 7}));
  EXPECT_EQ(recipe->conditionings[1], ConditioningInput());
}

TEST(RecipeTest, SizesAndUnsetNegativesBelongToTheInput) {
  GenerationRequest request = TextRequest();
  auto model = std::make_shared<ModelInfo>();
  model->size_conditioning = SizeConditioning::kTarget;
  model->zeroes_unset_negative = true;
  request.model = model;
  request.sizes = {.original_width = 8, .original_height = 9};
  request.negative_tokens = request.prompt_parts.front().tokens;
  const SharedRecipe recipe = RecipeOf(request, Program(/*guided=*/true));
  ASSERT_EQ(recipe->conditionings.size(), 2u);
  EXPECT_EQ(recipe->conditionings[0].size_ids.size(), 6u);
  EXPECT_FALSE(recipe->conditionings[0].zero);
  EXPECT_TRUE(recipe->conditionings[1].zero) << "an unset negative prompt of such a model";
}

TEST(RecipeTest, AStageBeginsWithWhatTheOneBeforeHasComeTo) {
  const auto two = [](auto change) {
    Recipe recipe = *RecipeOf(TextRequest(), Program(/*guided=*/true));
    Stage second = recipe.stages.front();
    second.start = StageStart::kLatents;
    recipe.stages.push_back(second);
    change(recipe);
    return CheckRecipe(recipe);
  };
  EXPECT_TRUE(two([](Recipe&) {}).ok()) << "another program in the same size";
  EXPECT_FALSE(two([](Recipe& r) { r.stages.clear(); }).ok());
  EXPECT_FALSE(two([](Recipe& r) { r.stages[0].start = StageStart::kLatents; }).ok());
  EXPECT_FALSE(two([](Recipe& r) { r.stages[1].start = StageStart::kNoise; }).ok());
  EXPECT_FALSE(two([](Recipe& r) { r.stages[1].latent_width *= 2; }).ok()) << "without a way to resize";
  EXPECT_TRUE(two([](Recipe& r) {
                r.stages[1].latent_width *= 2;
                r.stages[1].resize = LatentResize::kBilinear;
              }).ok());
  EXPECT_FALSE(two([](Recipe& r) {
                 auto pixels = std::make_shared<ModelInfo>(*r.stages[1].model);
                 pixels->latent_channels = 3;
                 r.stages[1].model = pixels;
               }).ok());
}

TEST(RecipeTest, EveryEvaluationNeedsItsRows) {
  Recipe recipe = *RecipeOf(TextRequest(), Program(/*guided=*/true));
  recipe.stages.front().row_sets.pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRecipe(recipe)));
  recipe = *RecipeOf(TextRequest(), Program(/*guided=*/true));
  recipe.conditionings.pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRecipe(recipe)));
}

// A picture with all that pictures can be: start, kept cells, what the denoiser sees, control.
TEST(RecipeTest, PicturesAreThereAndFit) {
  const auto checked = [](auto change) {
    Recipe recipe = *RecipeOf(TextRequest(), Program(/*guided=*/true));
    auto model = std::make_shared<ModelInfo>(*recipe.stages[0].model);
    model->image_input = ImageInput::kMaskAndPicture;
    const InputPicture picture{.image = std::make_shared<Image>(Image{64, 96, {}})};
    const auto map = std::make_shared<WeightMap>(WeightMap{12, 8, std::vector<float>(96, 0.5f)});
    recipe.pictures = {{.picture = picture}, {.picture = picture, .use = PictureUse::kHint, .network = "edges"}};
    Stage& stage = recipe.stages.front();
    stage.model = model;
    stage.start = StageStart::kPicture;
    stage.start_picture = 0;
    stage.noise_fill = map;
    stage.inputs = {{{.map = map}, {.picture = 0}}};
    stage.blend = Blend{.mask = map, .picture = 0};
    stage.control = {{.picture = 1, .network = "edges", .end_evaluation = 2}};
    change(recipe, stage);
    return CheckRecipe(recipe);
  };
  const auto outside = std::make_shared<WeightMap>(WeightMap{12, 8, std::vector<float>(96, 1.5f)});
  EXPECT_TRUE(checked([](Recipe&, Stage&) {}).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.start_picture = 1; }).ok()) << "a hint is no latents";
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.start_picture = 7; }).ok());
  EXPECT_FALSE(checked([&](Recipe&, Stage& s) { s.noise_fill = outside; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.inputs[0].pop_back(); }).ok()) << "channels are missing";
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.inputs[0][1].picture = 1; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.inputs.clear(); }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.row_sets[0].rows[0].inputs = 1; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.blend->mask = nullptr; }).ok());
  EXPECT_FALSE(checked([&](Recipe&, Stage& s) { s.blend->mask = outside; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.blend->picture = 1; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.control[0].picture = 0; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.control[0].network = "depth"; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.control[0].end_evaluation = 3; }).ok());
  EXPECT_FALSE(checked([](Recipe&, Stage& s) { s.control.clear(); }).ok()) << "nothing shows the hint";
  EXPECT_FALSE(checked([](Recipe& r, Stage&) { r.pictures[0].picture.image = nullptr; }).ok());
  EXPECT_FALSE(checked([](Recipe& r, Stage&) { r.pictures[0].erased = std::make_shared<Mask>(); }).ok());
}

}  // namespace
}  // namespace stepcast::sampling
