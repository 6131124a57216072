#include "model/model_index.h"

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

TEST(ReadModelIndex, RefusesWhatItWouldNotDare) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"({"unet": ["diffusers", "UNet2DConditionModel"]})", "_class_name"},
      {R"({"_class_name": 3})", "_class_name"},
      {R"({"_class_name": "X", "unet": ["my_pipeline", "Mine"]})", "custom code"},
      {R"({"_class_name": "X", "../unet": ["diffusers", "Y"]})", "not a plain folder name"},
      {R"({"_class_name": "X", "unet": ["diffusers", 7]})", "must be [library, class]"},
      {R"({"_class_name": "X", "unet": [null, "Y"]})", "must be [library, class]"},
      {R"({"_class_name": "X")", "not valid JSON"},
  };
  for (const auto& [text, message] : kBad) {
    const absl::Status status = Read(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

TEST(ReadModelIndex, SaysWhatKindOfFolderIsNeeded) {
  EXPECT_THAT(std::string(ReadModelIndex("/nowhere/model").status().message()), HasSubstr("no such folder"));
  const absl::Status status = ReadModelIndex(FreshFolder("no_index")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("from_single_file"));
}

}  // namespace
}  // namespace stepcast::model
