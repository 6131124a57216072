// Which autoencoder a model is decoded with, which decoder shows it unfinished, and what happens where the numbers of
// one overflow.
#include <filesystem>
#include <map>
#include <string>

#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/model_bundle.h"
#include "model/vae/autoencoder_kl.h"
#include "model/vae/autoencoder_tiny.h"
#include "tests/model/any_weights.h"
#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kTinyConfig[] = R"({"_class_name": "AutoencoderTiny", "encoder_block_out_channels": [4, 4],
  "decoder_block_out_channels": [4, 4], "num_encoder_blocks": [1, 1], "num_decoder_blocks": [1, 2]})";

// A model of 4 latent channels and 2 pixels per cell; `vae` is its autoencoder's class.
std::string Folder(const std::string& name, const std::string& vae = "AutoencoderKL") {
  const std::string folder = FreshFolder("vae_choice_" + name);
  for (const auto& [kind, component, file] : {std::tuple{"unet_sd2", "unet", "diffusion_pytorch_model"},
                                              {"clip_gelu", "text_encoder", "model"},
                                              {"autoencoder_sd1", "vae", "diffusion_pytorch_model"}}) {
    const Replay part(FindCase(kind));
    fs::create_directories(folder + "/" + component);
    fs::copy_file(part.folder() + "/model.safetensors",
                  absl::StrCat(folder, "/", component, "/", file, ".safetensors"));
    WriteFile(absl::StrCat(folder, "/", component, "/config.json"), part.config());
  }
  WriteFile(folder + "/model_index.json", absl::StrCat(R"({"_class_name": "StableDiffusionPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", ")",
                                                       vae, "\"]}"));
  fs::create_directories(folder + "/scheduler");
  WriteFile(folder + "/scheduler/scheduler_config.json", "{}");
  fs::create_directories(folder + "/tokenizer");
  WriteFile(folder + "/tokenizer/vocab.json", "{}");
  return folder;
}

// The weights of a decoder of kTinyConfig, under their names in diffusers.
Values TinyWeights(std::map<std::string, Shape>* shapes) {
  auto json = JsonConfig::Parse(kTinyConfig, "config");
  const AutoencoderTinyConfig config = *ParseAutoencoderTinyConfig(*json);
  return ValuesFor([&](WeightMap& map) { AutoencoderTiny(map, config, /*with_encoder=*/false); }, shapes);
}

void WriteTiny(const std::string& folder) {
  fs::create_directories(folder);
  WriteFile(folder + "/config.json", kTinyConfig);
  std::map<std::string, Shape> shapes;
  const Values values = TinyWeights(&shapes);
  WriteWeights(values, shapes, folder + "/diffusion_pytorch_model.safetensors");
}

// The same as the original program saves it: bare numbers that count a clamp as the first layer.
void WriteOriginalTiny(const std::string& path, const std::string& prefix) {
  std::map<std::string, Shape> shapes, renamed_shapes;
  Values renamed;
  for (const auto& [name, values] : TinyWeights(&shapes)) {
    const std::string rest(absl::StripPrefix(name, "decoder.layers."));
    const size_t dot = rest.find('.');
    const std::string original = absl::StrCat(prefix, std::stoi(rest.substr(0, dot)) + 1, rest.substr(dot));
    renamed[original] = values;
    renamed_shapes[original] = shapes.at(name);
  }
  WriteWeights(renamed, renamed_shapes, path);
}

absl::StatusOr<std::shared_ptr<const ModelBundle>> Load(const std::string& folder, const ModelCard& card = {},
                                                        c10::ScalarType dtype = c10::ScalarType::Float) {
  LoadOptions options;
  options.id = "tiny";
  options.path = folder;
  options.card = card;
  options.dtype = dtype;
  return ModelBundle::Load(options);
}

TEST(VaeChoice, AModelMayHaveATinyAutoencoder) {
  const c10::InferenceMode no_autograd;
  const std::string folder = Folder("component", "AutoencoderTiny");
  fs::remove_all(folder + "/vae");
  WriteTiny(folder + "/vae");
  const auto bundle = Load(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_EQ((*bundle)->info()->vae_scale_factor, 2);
  EXPECT_EQ((*bundle)->info()->decoding.tile_side, 512);
  EXPECT_EQ((*bundle)->codec().Decode(at::randn({2, 4, 3, 5})).sizes().vec(), (std::vector<int64_t>{2, 3, 6, 10}));
}

TEST(VaeChoice, ACardMayNameATinyAutoencoderInEveryLayout) {
  const c10::InferenceMode no_autograd;
  const std::string folder = Folder("named");
  const std::string place = FreshFolder("taesd");
  WriteTiny(place + "/folder");
  fs::copy_file(place + "/folder/diffusion_pytorch_model.safetensors", place + "/diffusers.safetensors");
  WriteOriginalTiny(place + "/taesd_decoder.safetensors", "");
  WriteOriginalTiny(place + "/module.safetensors", "decoder.");
  WriteOriginalTiny(place + "/comfy.safetensors", "taesd_decoder.");
  const at::Tensor latents = at::randn({1, 4, 4, 4});
  at::Tensor expected;
  for (const char* name : {"folder", "diffusers", "taesd_decoder", "module", "comfy"}) {
    ModelCard card;
    card.vae = absl::StrCat(place, "/", name, name == std::string("folder") ? "" : ".safetensors");
    const auto bundle = Load(folder, card);
    ASSERT_TRUE(bundle.ok()) << name << ": " << bundle.status();
    const at::Tensor picture = (*bundle)->codec().Decode(latents);
    if (!expected.defined()) expected = picture;
    EXPECT_TRUE(at::equal(picture, expected)) << name;
  }
}

TEST(VaeChoice, AnEncoderAloneIsNamedAsSuch) {
  const std::string path = FreshFolder("taesd_encoder") + "/taesd_encoder.safetensors";
  SafetensorsWriter writer;
  writer.Add("0.weight", {4, 3, 3, 3}, std::vector<float>(108))
      .Add("1.conv.0.weight", {4, 4, 3, 3}, std::vector<float>(144));
  writer.Add("1.conv.4.weight", {4, 4, 3, 3}, std::vector<float>(144));
  WriteFile(path, writer.Build());
  ModelCard card;
  card.vae = path;
  EXPECT_THAT(std::string(Load(Folder("encoder"), card).status().message()),
              HasSubstr("the encoder of a tiny autoencoder: name its decoder"));
}

TEST(PreviewChoice, IsLinearUnlessACardSaysMore) {
  const c10::InferenceMode no_autograd;
  const std::string folder = Folder("preview");
  const at::Tensor x0 = at::randn({2, 4, 3, 5});
  const auto linear = Load(folder);
  ASSERT_TRUE(linear.ok()) << linear.status();
  EXPECT_EQ((*linear)->info()->decoding.preview, PreviewKind::kLinear);
  EXPECT_EQ((*linear)->preview().Decode(x0).size(2), 3);

  WriteTiny(folder + "/small");
  WriteFile(folder + "/model.json", R"({"preview": "small"})");
  const auto network = Load(folder);
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ((*network)->info()->decoding.preview, PreviewKind::kNetwork);
  EXPECT_EQ((*network)->info()->decoding.preview_scale, 2);
  EXPECT_EQ((*network)->preview().Decode(x0).sizes().vec(), (std::vector<int64_t>{2, 3, 6, 10}));
  EXPECT_TRUE(at::equal((*network)->codec().Decode(x0), (*linear)->codec().Decode(x0))) << "pictures are as before";

  ModelCard card;
  card.preview = "linear";
  EXPECT_EQ((*Load(folder, card))->info()->decoding.preview, PreviewKind::kLinear) << "the configuration wins";
  card.preview = "none";
  EXPECT_EQ((*Load(folder, card))->info()->decoding.preview, PreviewKind::kNone);
}

TEST(PreviewChoice, WhatDoesNotGoWithTheModelIsRefusedByName) {
  const std::string folder = Folder("misfits");
  ModelCard card;
  card.preview = folder + "/vae";
  EXPECT_THAT(std::string(Load(folder, card).status().message()),
              HasSubstr("component 'preview' is a AutoencoderKL, which is not supported (AutoencoderTiny is)"));
  card.preview = folder + "/nowhere";
  EXPECT_THAT(std::string(Load(folder, card).status().message()), HasSubstr("nowhere"));
  WriteTiny(folder + "/large");
  WriteFile(folder + "/large/config.json", R"({"_class_name": "AutoencoderTiny", "latent_channels": 16})");
  card.preview = folder + "/large";
  EXPECT_THAT(std::string(Load(folder, card).status().message()),
              HasSubstr("16 latent channels and 8 pixels per cell does not go with a model of 4 and 2"));
}

// Weights that take activations beyond 65504: float16 makes infinities of them, and the norms behind it no numbers.
// In float32 the norms bring them back.
TEST(PreciseCodec, SavesAPictureThatOverflows) {
  const c10::InferenceMode no_autograd;
  const std::string folder = Folder("overflow");
  auto json = JsonConfig::Parse(FindCase("autoencoder_sd1").config.dump(), "config");
  const AutoencoderConfig config = *ParseAutoencoderConfig(*json);
  std::map<std::string, Shape> shapes;
  Values values = ValuesFor([&](WeightMap& map) { AutoencoderKL(map, config, /*with_encoder=*/false); }, &shapes);
  for (float& value : values.at("post_quant_conv.weight")) value *= 3e4f;
  WriteWeights(values, shapes, folder + "/vae/diffusion_pytorch_model.safetensors");
  const at::Tensor latents = at::randn({1, 4, 8, 8});

  const auto half = Load(folder, {}, c10::ScalarType::Half);
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_EQ((*half)->codec().dtype(), c10::ScalarType::Half);
  EXPECT_FALSE(at::isfinite((*half)->codec().Decode(latents)).all().item<bool>());
  const auto precise = (*half)->LoadPreciseCodec();
  ASSERT_TRUE(precise.ok()) << precise.status();
  EXPECT_EQ((*precise)->dtype(), c10::ScalarType::Float);
  const at::Tensor picture = (*precise)->Decode(latents);
  EXPECT_TRUE(at::isfinite(picture).all().item<bool>());

  const auto single = Load(folder);
  ASSERT_TRUE(single.ok()) << single.status();
  EXPECT_TRUE(at::equal((*single)->codec().Decode(latents), picture)) << "the weights of the files";
  EXPECT_TRUE(absl::IsUnimplemented((*single)->LoadPreciseCodec().status()));
}

}  // namespace
}  // namespace stepcast::model
