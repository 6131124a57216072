#include "model/files/model_index.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using testing::HasSubstr;

absl::StatusOr<ModelIndex> Read(const std::string& text) {
  const std::string folder = FreshFolder("index");
  WriteFile(folder + "/model_index.json", text);
  return ReadModelIndex(folder);
}

TEST(ReadModelIndex, KeepsPresentComponentsAndSkipsTheRest) {
  const auto index = Read(R"({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0",
      "_name_or_path": "x", "requires_safety_checker": false, "safety_checker": [null, null],
      "unet": ["diffusers", "UNet2DConditionModel"], "text_encoder": ["transformers", "FlaxCLIPTextModel"]})");
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->pipeline_class, "StableDiffusionPipeline");
  EXPECT_EQ(index->components.size(), 2U);
  EXPECT_EQ(*index->ClassOf("unet", {"UNet2DConditionModel"}), "UNet2DConditionModel");
  EXPECT_EQ(*index->ClassOf("text_encoder", {"CLIPTextModel"}), "CLIPTextModel") << "Flax names the same class";
  EXPECT_EQ(index->ClassOf("vae", {}).status().code(), absl::StatusCode::kNotFound);
  const absl::Status wrong = index->ClassOf("unet", {"UNet2DModel", "DiT"}).status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.message()),
              HasSubstr("UNet2DConditionModel, which is not supported (UNet2DModel, DiT"));
}

TEST(ReadModelIndex, RefusesWhatIsNoIndex) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"({"unet": ["diffusers", "UNet2DConditionModel"]})", "_class_name"},
      {R"({"_class_name": 3})", "_class_name"},
      {R"({"_class_name": "X")", "not valid JSON"},
  };
  for (const auto& [text, message] : kBad) {
    const absl::Status status = Read(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

TEST(ReadModelIndex, RefusesWhatItWouldNotDareWhenSomebodyAsksForIt) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"(["my_pipeline", "Mine"])", "needs custom code from 'my_pipeline'"},
      {R"(["stable_diffusion", "UNet2DConditionModel"])", "needs custom code from 'stable_diffusion'"},
      {R"(["", "UNet2DConditionModel"])", "must be [library, class]"},
      {R"(["diffusers", 7])", "must be [library, class]"},
      {R"([null, "UNet2DConditionModel"])", "must be [library, class]"},
      {R"([512, 512])", "must be [library, class]"},
  };
  for (const auto& [entry, message] : kBad) {
    const auto index = Read(std::string(R"({"_class_name": "X", "unet": )") + entry + "}");
    ASSERT_TRUE(index.ok()) << index.status();
    for (const std::vector<std::string>& allowed : {std::vector<std::string>{"UNet2DConditionModel"}, {}}) {
      const absl::Status status = index->ClassOf("unet", allowed).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << entry;
      EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << entry;
    }
  }
}

TEST(ReadModelIndex, WhatNobodyReadsMayBeAnything) {
  const auto index = Read(R"({"_class_name": "X", "unet": ["diffusers", "UNet2DConditionModel"],
      "safety_checker": ["my_checker", "Mine"], "feature_extractor": ["transformers", null],
      "image_encoder": [null, "CLIPVisionModelWithProjection"], "image_size": [512, 512], "../vae": ["diffusers", "Y"],
      "watermark": [{"a": 1}, [2]], "tags": ["a", "b", "c"], "empty": [], "prior": ["kandinsky.py", "Prior"]})");
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(*index->ClassOf("unet", {"UNet2DConditionModel"}), "UNet2DConditionModel");
  EXPECT_EQ(index->ClassOf("../vae", {}).status().code(), absl::StatusCode::kNotFound) << "no folder of that name";
}

TEST(ReadModelIndex, SaysWhatKindOfFolderIsNeeded) {
  EXPECT_THAT(std::string(ReadModelIndex("/nowhere/model").status().message()), HasSubstr("no such folder"));
  const absl::Status status = ReadModelIndex(FreshFolder("no_index")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("or a checkpoint in one .safetensors file"));
}

TEST(ReadModelIndex, HintsAtWhatToNameInstead) {
  const struct {
    std::vector<std::string> files;
    const char* hint;
  } kFolders[] = {
      {{"sd15.safetensors", "readme.md"},
       "It holds sd15.safetensors: a checkpoint in one file is named by its own path"},
      {{"config.json", "diffusion_pytorch_model.safetensors"}, "name the folder above it"},
      {{"v1-5-pruned.ckpt"}, "v1-5-pruned.ckpt, pickles, which are not read"},
      {{"snapshots/0123/model_index.json"}, "snapshots/0123"},
  };
  for (const auto& [files, hint] : kFolders) {
    const std::string folder = FreshFolder("hints");
    for (const std::string& file : files) WriteFile(folder + "/" + file, "x");
    EXPECT_THAT(std::string(ReadModelIndex(folder).status().message()), HasSubstr(hint));
  }
}

// As the DDPM repositories of 2022 lie: what has no folder of its own stands beside the index.
TEST(ReadModelIndex, FindsANetworkBesideTheIndex) {
  const std::string folder = FreshFolder("flat");
  WriteFile(folder + "/model_index.json",
            R"({"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"],
                "scheduler": ["diffusers", "DDPMScheduler"]})");
  WriteFile(folder + "/config.json", "{}");
  const auto half = ReadModelIndex(folder);
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_EQ(half->PathOf("unet"), folder);
  EXPECT_EQ(half->PathOf("scheduler"), folder + "/scheduler") << "there is no scheduler_config.json";
  WriteFile(folder + "/scheduler_config.json", "{}");
  WriteFile(folder + "/unet/config.json", "{}");
  const auto index = ReadModelIndex(folder);
  EXPECT_EQ(index->PathOf("scheduler"), folder);
  EXPECT_EQ(index->PathOf("unet"), folder + "/unet") << "a folder of its own comes first";
}

}  // namespace
}  // namespace stepcast::model
