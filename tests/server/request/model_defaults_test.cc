#include "server/request/checks/model_defaults.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sampling/compile/usable.h"
#include "server/catalog/model_description.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A text model whose card says everything that a card can say.
ModelInfo Carded() {
  ModelInfo info = TextModel();
  info.samplers = sampling::UsableSamplers(info);
  info.defaults.sampler = Sampler::kLcm;
  info.defaults.timesteps = {999, 749, 499, 249};
  info.defaults.steps = 4;
  info.defaults.timestep_spacing = TimestepSpacing::kTrailing;
  info.defaults.guidance_scale = 3.0;
  info.defaults.guidance_rescale = 0.5;
  info.defaults.clip_skip = 1;
  info.defaults.negative_prompt = "blurry";
  return info;
}

GenerationRequest Resolved(const std::string& text, const ModelInfo& info) {
  const auto models = ModelRegistry::Create({Share(info)}, "", &LoadFakeTokenizer);
  EXPECT_TRUE(models.ok()) << models.status();
  FixedSeed seeds{7};
  const auto request = ValidateRequest(Wire(text), *models, LimitsConfig(), seeds);
  EXPECT_TRUE(request.ok()) << request.status();
  return request.ok() ? **request : GenerationRequest();
}

TEST(ModelDefaultsTest, ABareRequestGetsWhatTheCardSays) {
  const GenerationRequest request = Resolved(R"(prompt: "a")", Carded());
  EXPECT_EQ(request.sampler, Sampler::kLcm);
  EXPECT_THAT(request.timesteps, ElementsAre(999, 749, 499, 249));
  EXPECT_EQ(request.steps, 4);
  EXPECT_EQ(request.guidance_rescale, 0.5);
  EXPECT_EQ(request.clip_skip, 1);
  EXPECT_EQ(request.negative_prompt, "blurry");
  EXPECT_TRUE(request.negative_prompt_given);
}

TEST(ModelDefaultsTest, WhatTheRequestSaysWins) {
  const GenerationRequest request =
      Resolved(R"(prompt: "a" negative_prompt: "" clip_skip: 0 guidance_rescale: 0 timesteps: [800, 10])", Carded());
  EXPECT_THAT(request.timesteps, ElementsAre(800, 10));
  EXPECT_EQ(request.guidance_rescale, 0.0);
  EXPECT_EQ(request.clip_skip, 0);
  EXPECT_EQ(request.negative_prompt, "");
}

TEST(ModelDefaultsTest, AListStandsBackForAnyWordOfSteps) {
  for (const char* word : {"steps: 4", "timestep_spacing: TIMESTEP_SPACING_LEADING"}) {
    const GenerationRequest request = Resolved(std::string(R"(prompt: "a" )") + word, Carded());
    EXPECT_THAT(request.timesteps, IsEmpty()) << word;
    EXPECT_EQ(request.steps, 4) << word;
  }
  EXPECT_EQ(Resolved(R"(prompt: "a" steps: 2)", Carded()).timestep_spacing, TimestepSpacing::kTrailing);
}

TEST(ModelDefaultsTest, AnotherSamplerGetsNothingOfTheDefaultOne) {
  ModelInfo info = Carded();
  info.defaults.eta = 1.0;
  info.defaults.sampler = Sampler::kDdim;
  info.defaults.timesteps.clear();
  EXPECT_EQ(Resolved(R"(prompt: "a")", info).eta, 1.0);
  EXPECT_EQ(Resolved(R"(prompt: "a")", info).timestep_spacing, TimestepSpacing::kTrailing);
  const GenerationRequest other = Resolved(R"(prompt: "a" sampler: SAMPLER_EULER)", info);
  EXPECT_EQ(other.eta, 0.0);
  EXPECT_NE(other.timestep_spacing, TimestepSpacing::kTrailing);
  EXPECT_EQ(other.negative_prompt, "blurry") << "the text is the model's, whatever the sampler";
}

TEST(ModelDefaultsTest, WithoutGuidanceNobodyHearsOfANegativePrompt) {
  const GenerationRequest request = Resolved(R"(prompt: "a" guidance_scale: 1)", Carded());
  EXPECT_FALSE(request.negative_prompt_given);
  EXPECT_EQ(request.guidance_rescale, 0.0);
  EXPECT_THAT(request.warnings, IsEmpty());
}

TEST(ModelDefaultsTest, ModelsThatSayNothingChangeNothing) {
  EXPECT_EQ(WithModelDefaults(Wire(R"(prompt: "a")"), TextModel()), std::nullopt);
}

TEST(ModelDefaultsTest, GetModelTellsThem) {
  ModelInfo info = Carded();
  info.family = "Stable Diffusion XL";
  info.decisions = {{"prediction_type", "epsilon", "/srv/models/x/scheduler/scheduler_config.json"}};
  info.components = {{"unet", "UNet2DConditionModel", {"/srv/models/x/unet/w.safetensors"}, {"F16"}, 7}};
  const auto models = ModelRegistry::Create({Share(info)}, "", &LoadFakeTokenizer);
  ASSERT_TRUE(models.ok()) << models.status();
  const v1::Model model = DescribeModel(models->default_model(), true, LimitsConfig());
  EXPECT_THAT(model.defaults().timesteps(), ElementsAre(999, 749, 499, 249));
  EXPECT_EQ(model.defaults().timestep_spacing(), v1::TIMESTEP_SPACING_TRAILING);
  EXPECT_EQ(model.defaults().negative_prompt(), "blurry");
  EXPECT_EQ(model.defaults().guidance_rescale(), 0.5);
  EXPECT_EQ(model.defaults().clip_skip(), 1);
  EXPECT_FALSE(model.defaults().has_eta());
  EXPECT_EQ(model.family(), "Stable Diffusion XL");
  EXPECT_EQ(model.decisions(0).source(), "scheduler/scheduler_config.json") << "folders are the operator's";
  EXPECT_EQ(model.components(0).stored_types(0), "F16");
  EXPECT_EQ(model.components(0).parameter_count(), 7);
}

}  // namespace
}  // namespace stepcast
