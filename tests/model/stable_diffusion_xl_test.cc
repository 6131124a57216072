// ModelBundle::Load on folders of the SDXL family, made of the components that tests/parity paints with.
#include <filesystem>
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "model/files/json_config.h"
#include "model/model_bundle.h"
#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"
#include "tests/model/tiny_model.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

const std::string kData = std::string(STEPCAST_SOURCE_DIR) + "/tests/parity/data/sdxl";

// `variant` of the fixtures as a whole folder.
std::string Folder(const std::string& variant, const std::string& name) {
  const std::string folder = FreshFolder("sdxl_" + name);
  const json all = *ReadJsonObject(kData + "/requests.json");
  const json& parts = all["variants"][variant];
  fs::copy_file(kData + "/" + parts["index"].get<std::string>(), folder + "/model_index.json");
  for (const auto& [part, source] : parts["parts"].items()) {
    fs::copy(kData + "/" + source.get<std::string>(), folder + "/" + part, fs::copy_options::recursive);
  }
  return folder;
}

void Edit(const std::string& path, const std::string& key, const json& value) {
  json config = *ReadJsonObject(path);
  config[key] = value;
  WriteFile(path, config.dump());
}

TEST(StableDiffusionXl, ABaseModelDescribesItself) {
  const std::string folder = Folder("base", "base");
  const auto bundle = LoadTiny(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const ModelInfo& info = *(*bundle)->info();
  EXPECT_THAT(info.tokenizer_dirs, testing::ElementsAre(folder + "/tokenizer", folder + "/tokenizer_2"));
  EXPECT_EQ(info.text_layers, 3) << "of the shallower tower";
  EXPECT_EQ(info.text_max_tokens, 77);
  EXPECT_EQ(info.size_conditioning, SizeConditioning::kTarget);
  EXPECT_TRUE(info.zeroes_unset_negative);
  EXPECT_EQ(info.defaults.guidance_scale, 5.0);
  EXPECT_EQ(info.defaults.sampler, Sampler::kEuler);
  EXPECT_EQ(info.defaults.width, 32);
}

TEST(StableDiffusionXl, VariantsDiffer) {
  EXPECT_FALSE((*LoadTiny(Folder("no_zeros", "no_zeros")))->info()->zeroes_unset_negative);
  const auto refiner = LoadTiny(Folder("refiner", "refiner"));
  ASSERT_TRUE(refiner.ok()) << refiner.status();
  EXPECT_EQ((*refiner)->info()->size_conditioning, SizeConditioning::kAestheticScore);
  EXPECT_EQ((*refiner)->info()->tokenizer_dirs.size(), 1U);
  const auto lcm = LoadTiny(Folder("lcm_sdxl", "lcm_sdxl"));
  ASSERT_TRUE(lcm.ok()) << lcm.status();
  EXPECT_TRUE((*lcm)->info()->noise_schedule.embeds_guidance);
  EXPECT_EQ((*lcm)->info()->defaults.steps, 4);
  EXPECT_EQ((*lcm)->info()->defaults.guidance_scale, 8.5);
}

TEST(StableDiffusionXl, WithoutASampleSizeItIs128Cells) {
  const std::string folder = Folder("base", "sample_size");
  Edit(folder + "/unet/config.json", "sample_size", nullptr);
  const auto bundle = LoadTiny(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_EQ((*bundle)->info()->defaults.width, 256) << "two pixels per cell";
}

TEST(StableDiffusionXl, AHalfPrecisionModelMayDecodeInSingle) {
  const c10::InferenceMode no_autograd;
  const std::string folder = Folder("base", "upcast");
  const at::Tensor latents = at::ones({1, 4, 4, 4}) * 3;
  const at::Tensor single = (*LoadTiny(folder))->codec().Decode(latents);
  EXPECT_TRUE((*LoadTiny(folder, c10::ScalarType::Half))->codec().Decode(latents).equal(single)) << "force_upcast";
  WriteFile(folder + "/model.json", R"({"dtype": {"vae": "fp16"}})");
  EXPECT_FALSE((*LoadTiny(folder, c10::ScalarType::Half))->codec().Decode(latents).equal(single))
      << "who names it gets it";
  WriteFile(folder + "/model.json", R"({"dtype": "auto"})");
  EXPECT_TRUE((*LoadTiny(folder, c10::ScalarType::Half))->codec().Decode(latents).equal(single)) << "force_upcast";
  fs::remove(folder + "/model.json");
  Edit(folder + "/vae/config.json", "force_upcast", false);
  EXPECT_FALSE((*LoadTiny(folder, c10::ScalarType::Half))->codec().Decode(latents).equal(single));
}

TEST(StableDiffusionXl, TowersMayComputeInDifferentTypes) {
  const c10::InferenceMode no_autograd;
  const std::string folder = Folder("base", "towers");
  const auto encode = [&] {
    const auto bundle = LoadTiny(folder);
    EXPECT_TRUE(bundle.ok()) << bundle.status();
    ConditioningInput input;
    input.text.ids = {{0, 5, 6}, {0, 5, 6}};
    input.size_ids = {32, 32, 0, 0, 32, 32};
    const Conditioning encoded = (*bundle)->conditioner().Encode({input});
    const at::Tensor noise = at::ones({1, 4, 16, 16}, at::TensorOptions((*bundle)->dtype()));
    const Denoiser& denoiser = (*bundle)->denoiser();
    return denoiser(noise, at::ones({1}), denoiser.Prepare(encoded)).to(at::kFloat);
  };
  const at::Tensor reference = encode();
  for (const char* card : {R"({"dtype": {"text_encoder": "bf16"}})", R"({"dtype": {"text_encoder_2": "fp16"}})",
                           R"({"dtype": {"text_encoder": "bf16", "text_encoder_2": "fp16", "unet": "bf16"}})"}) {
    WriteFile(folder + "/model.json", card);
    // The text reaches the denoiser through 8 bits of mantissa, and the denoiser's own.
    EXPECT_LT(Compare(encode(), reference).relative, 0.1) << card;
  }
}

TEST(StableDiffusionXl, PreviewsUseItsOwnLatentSpace) {
  const c10::InferenceMode no_autograd;
  const at::Tensor preview = (*LoadTiny(Folder("base", "preview")))->preview().Decode(at::ones({1, 4, 1, 1}));
  EXPECT_NEAR(preview.flatten()[0].item<double>(), 0.3651 - 0.2533 + 0.1076 - 0.3165 + 0.1084, 1e-5);
}

TEST(StableDiffusionXl, PartsThatDoNotFitAreRefusedByName) {
  struct Case {
    const char* name;
    const char* file;
    const char* key;
    json value;
    const char* message;
  };
  const Case cases[] = {
      {"ids", "unet", "projection_class_embeddings_input_dim", 59,
       "projection_class_embeddings_input_dim 59 must be the projection_dim 12 of text_encoder_2 and 6 (refiners: 5) "
       "times addition_time_embed_dim 8: 60 or 52"},
      {"width", "unet", "cross_attention_dim", 16, "must equal the text encoders' hidden_size, together 32"},
      {"added", "unet", "addition_embed_type", nullptr, "addition_embed_type: an SDXL pipeline needs text_time"},
      {"channels", "unet", "in_channels", 7, "in_channels 7 and out_channels 4"},
  };
  for (const Case& test : cases) {
    const std::string folder = Folder("base", test.name);
    Edit(folder + "/" + test.file + "/config.json", test.key, test.value);
    EXPECT_THAT(std::string(LoadTiny(folder).status().message()), HasSubstr(test.message)) << test.name;
  }
  const std::string folder = Folder("base", "no_second");
  Edit(folder + "/model_index.json", "text_encoder_2", json::array({nullptr, nullptr}));
  EXPECT_THAT(std::string(LoadTiny(folder).status().message()), HasSubstr("component 'text_encoder_2' is missing"));
}

}  // namespace
}  // namespace stepcast::model
