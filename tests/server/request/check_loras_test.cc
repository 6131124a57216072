#include <filesystem>
#include <limits>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/catalog/adapters/lora_catalog.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_loras.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckLorasTest : public ::testing::Test {
 protected:
  CheckLorasTest()
      : loras_({LoraFolder("checked",
                           {{"style.safetensors", "a"},
                            {"words.safetensors", "text"},
                            {"quick.safetensors", "fast"},
                            {"xl.safetensors", "other"}},
                           testing::TempDir())},
               [](std::string_view) {}) {
    loras_.Serve(&host_);
    loras_.Refresh();
    auto info = std::make_shared<ModelInfo>(*ThreeModels().default_model().info);
    info->lora_targets = std::make_shared<const LoraTargets>(1);
    info->samplers.push_back(Sampler::kLcm);
    info_ = info;
  }

  absl::StatusOr<SharedRequest> Validate(const std::string& text) {
    const ModelRegistry models = *ModelRegistry::Create({info_}, "", &LoadFakeTokenizer);
    RandomSeedSource seeds;
    return ValidateRequest(Wire(text), models, {}, seeds, {.loras = &loras_});
  }

  FakeLoraHost host_;
  LoraCatalog loras_;
  SharedModelInfo info_;
};

TEST_F(CheckLorasTest, ScalesHaveDefaultsAndAreEchoed) {
  const auto request = Validate(
      R"(prompt: "a" loras { name: "style" scale: -0.5 } loras { name: "words" scale: 2 } loras { name: "quick" })");
  ASSERT_TRUE(request.ok()) << request.status();
  const auto& loras = (*request)->loras;
  ASSERT_EQ(loras.size(), 3u);
  EXPECT_EQ(loras[0].scale, -0.5);
  EXPECT_EQ(loras[1].text_scale, 2.0) << "that of the denoiser";
  EXPECT_EQ(loras[2].scale, 1.0);
  EXPECT_EQ(loras[0].sha256, Sha256Hex("a"));
  EXPECT_EQ(loras[0].cost, 0.25);
  const v1::GenerateRequest echo = ToEffectiveRequest(**request);
  ASSERT_EQ(echo.loras_size(), 3);
  EXPECT_EQ(echo.loras(0).scale(), -0.5);
  EXPECT_FALSE(echo.loras(0).has_text_scale()) << "it changes no text encoder";
  EXPECT_EQ(echo.loras(1).text_scale(), 2.0);
}

TEST_F(CheckLorasTest, TheFirstCardSaysWhatIsLeftOpen) {
  const auto quick = Validate(R"(prompt: "a" loras { name: "quick" })");
  ASSERT_TRUE(quick.ok()) << quick.status();
  EXPECT_EQ((*quick)->steps, 4);
  EXPECT_EQ((*quick)->sampler, Sampler::kLcm);
  EXPECT_EQ((*quick)->guidance_scale, 1.0);
  EXPECT_EQ((*quick)->model, info_) << "the model stays itself";
  EXPECT_EQ((*Validate(R"(prompt: "a" steps: 9 loras { name: "quick" })"))->steps, 9);
  const int own = (*Validate(R"(prompt: "a")"))->steps;
  EXPECT_EQ((*Validate(R"(prompt: "a" loras { name: "style" } loras { name: "quick" })"))->steps, own);
}

TEST_F(CheckLorasTest, ACardWhoseSamplerTheModelLacksSaysNothing) {
  auto without = std::make_shared<ModelInfo>(*info_);
  std::erase(without->samplers, Sampler::kLcm);
  info_ = without;
  const auto quick = Validate(R"(prompt: "a" loras { name: "quick" })");
  ASSERT_TRUE(quick.ok()) << quick.status();
  EXPECT_EQ((*quick)->steps, (*Validate(R"(prompt: "a")"))->steps);
}

TEST_F(CheckLorasTest, AFileThatGoesMeanwhileIsToldAsGone) {
  host_.on_fit = [this] {
    std::filesystem::remove(std::filesystem::path(testing::TempDir()) / "checked" / "style.safetensors");
    loras_.Refresh();
  };
  EXPECT_THAT(ViolationsOf(Validate(R"(prompt: "a" loras { name: "style" })").status()),
              ElementsAre(HasSubstr("loras[0].name: got \"style\"")));
}

TEST_F(CheckLorasTest, WhatIsWrongIsNamed) {
  const auto violations = [this](const std::string& text) { return ViolationsOf(Validate(text).status()); };
  EXPECT_THAT(violations(R"(prompt: "a" loras { name: "style" scale: 4.1 })"),
              ElementsAre(HasSubstr("loras[0].scale")));
  EXPECT_THAT(violations(R"(prompt: "a" loras { name: "style" scale: nan })"),
              ElementsAre(HasSubstr("loras[0].scale")));
  EXPECT_THAT(violations(R"(prompt: "a" loras { name: "style" text_scale: 1 })"),
              ElementsAre(HasSubstr("loras[0].text_scale")));
  EXPECT_THAT(violations(R"(prompt: "a" loras { name: "style" } loras { name: "style" })"),
              ElementsAre(HasSubstr("loras[1].name")));
  EXPECT_THAT(violations(R"(prompt: "a" loras { name: "xl" })"),
              ElementsAre(testing::AllOf(HasSubstr("loras[0].name"), HasSubstr("Stable Diffusion XL"))));
  for (const char* name : {"", "../style", "a/b", ".style", "style "}) {
    EXPECT_THAT(violations(absl::StrCat(R"(prompt: "a" loras { name: ")", name, "\" }")),
                ElementsAre(HasSubstr("loras[0].name")))
        << name;
  }
  std::string many = R"(prompt: "a")";
  for (int i = 0; i < 9; ++i) many += R"( loras { name: "style" })";
  EXPECT_THAT(violations(many), ElementsAre(HasSubstr("at most 8")));
}

TEST_F(CheckLorasTest, OneThatIsNotThereIsNotFoundAndThoseThatAreAreTold) {
  const absl::Status status = Validate(R"(prompt: "a" loras { name: "nothing" })").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("quick, style, words"));
}

TEST_F(CheckLorasTest, ModelsAndServersWithoutAnyRefuseThem) {
  auto without = std::make_shared<ModelInfo>(*info_);
  without->lora_targets = nullptr;
  info_ = without;
  EXPECT_THAT(ViolationsOf(Validate(R"(prompt: "a" loras { name: "style" })").status()),
              ElementsAre(HasSubstr("loras: ")));
  const ModelRegistry models = *ModelRegistry::Create({info_}, "", &LoadFakeTokenizer);
  RandomSeedSource seeds;
  EXPECT_THAT(ViolationsOf(ValidateRequest(Wire(R"(prompt: "a" loras { name: "style" })"), models, {}, seeds).status()),
              ElementsAre(HasSubstr("this server has no LoRAs")));
}

}  // namespace
}  // namespace stepcast
