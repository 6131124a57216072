#include "model/model_card.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using testing::HasSubstr;

ModelInfo Blank() {
  ModelInfo info;
  info.display_name = "id";
  info.limits = {.size_multiple = 8, .min_side = 32, .max_side = 256, .max_area = 65536, .max_steps = 150};
  info.defaults.width = info.defaults.height = 64;
  return info;
}

absl::Status Apply(const std::string& text, ModelInfo& info) {
  const std::string path = FreshFolder("card") + "/model.json";
  WriteFile(path, text);
  return ApplyModelCard(path, info);
}

TEST(ApplyModelCard, IsOptional) {
  ModelInfo info = Blank();
  EXPECT_EQ(ApplyModelCard("/nowhere/model.json", info), absl::OkStatus());
  EXPECT_EQ(info.display_name, "id");
}

TEST(ApplyModelCard, OverridesWhatItNames) {
  ModelInfo info = Blank();
  EXPECT_EQ(Apply(R"({"display_name": "Emoji", "license": "Apache-2.0",
                      "defaults": {"sampler": "DPMPP_2M", "steps": 12, "guidance_scale": 2.5, "width": 128}})",
                  info),
            absl::OkStatus());
  EXPECT_EQ(info.display_name, "Emoji");
  EXPECT_EQ(info.license, "Apache-2.0");
  EXPECT_EQ(info.description, "");
  EXPECT_EQ(info.defaults.sampler, Sampler::kDpmpp2m);
  EXPECT_EQ(info.defaults.steps, 12);
  EXPECT_EQ(info.defaults.guidance_scale, 2.5);
  EXPECT_EQ(info.defaults.width, 128);
  EXPECT_EQ(info.defaults.height, 64);
}

TEST(ApplyModelCard, RefusesDefaultsThatNoRequestCouldUse) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"({"name": "x"})", "name: unknown key"},
      {R"({"defaults": {"size": 64}})", "size: unknown key"},
      {R"({"defaults": {"sampler": "ddim"}})", "sampler: 'ddim' is not known"},
      {R"({"defaults": {"steps": 0}})", "steps: 0 is outside 1..150"},
      {R"({"defaults": {"steps": 151}})", "steps: 151 is outside"},
      {R"({"defaults": {"guidance_scale": 31}})", "guidance_scale: 31 is outside 0..30"},
      {R"({"defaults": {"width": 20}})", "width: 20 is outside 32..256"},
      {R"({"defaults": {"height": 68}})", "height: 68 is not a multiple of 8"},
      {R"({"defaults": []})", "a JSON object is needed"},
      {R"({"display_name": 5})", "display_name: a string"},
  };
  for (const auto& [text, message] : kBad) {
    ModelInfo info = Blank();
    const absl::Status status = Apply(text, info);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace stepcast::model
