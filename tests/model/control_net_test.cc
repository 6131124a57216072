// ControlNets: what they add to a U-Net, and the files that they come in. Their numbers are in parity_test.
#include "model/control/control_net.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/control/control_net_loader.h"
#include "model/control/control_shape.h"
#include "model/unet/unet_2d_condition_model.h"
#include "tests/model/any_weights.h"
#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ControlNetConfig ConfigOf(const nlohmann::json& text) {
  auto json = JsonConfig::Parse(text.dump(), "config");
  return ParseControlNetConfig(*json, text.at("_class_name")).value();
}

// The net of a parity case, and inputs of three rows for it.
struct Tiny {
  explicit Tiny(const std::string& name)
      : replay(FindCase(name)),
        weights(replay.weights(), c10::DeviceType::CPU, at::kFloat),
        net(weights, ConfigOf(FindCase(name).config)) {
    at::manual_seed(5);
    latents = at::randn({3, 4, 8, 8});
    timesteps = at::tensor({900.0, 500.5, 1.0}, at::kFloat);
    conditioning.prompt_embeds = at::randn({3, 7, net.config().unet.cross_attention_dim});
    conditioning.text_embeds = at::randn({3, 32});
    conditioning.time_ids = at::ones({3, 6});
    const int64_t side = 8 * net.config().hint_factor();
    ControlHint hint{net.EmbedHint(at::rand({3, 3, side, side})), {}, at::tensor({1.0, 0.5, 2.0}, at::kFloat)};
    if (net.config().is_union()) hint.types = {3, 0, 1};
    inputs = {{hint}, {false, true, false}};
  }
  ControlResiduals Run() const { return net(latents, timesteps, conditioning, inputs); }

  c10::InferenceMode no_autograd;
  Replay replay;
  WeightMap weights;
  ControlNet net;
  at::Tensor latents;
  at::Tensor timesteps;
  Conditioning conditioning;
  ControlInputs inputs;
};

TEST(ControlNet, RowsDoNotSeeEachOther) {
  for (const char* name : {"control_sd1", "control_sdxl", "control_union"}) {
    Tiny tiny(name);
    const ControlResiduals together = tiny.Run();
    tiny.latents[0].zero_();
    tiny.timesteps[2].fill_(3);
    tiny.conditioning.prompt_embeds[0].zero_();
    tiny.inputs.hints[0].embedding[2].zero_();
    if (!tiny.inputs.hints[0].types.empty()) tiny.inputs.hints[0].types = {2, 0, 2};
    const ControlResiduals others = tiny.Run();
    for (size_t i = 0; i < together.down.size(); ++i) {
      EXPECT_TRUE(at::equal(together.down[i][1], others.down[i][1])) << name << " " << i;
    }
    EXPECT_TRUE(at::equal(together.mid[1], others.mid[1])) << name;
    EXPECT_FALSE(at::equal(together.mid[0], others.mid[0])) << name;
  }
}

TEST(ControlNet, WrongShapesAreRefused) {
  Tiny tiny("control_sd1");
  tiny.inputs.hints[0].embedding = tiny.inputs.hints[0].embedding.narrow(2, 0, 4);
  EXPECT_THROW(tiny.Run(), c10::Error);
  EXPECT_THROW(Tiny("control_sd1").net.EmbedHint(at::ones({1, 1, 16, 16})), c10::Error);
}

// A U-Net of two levels, as the fixture has it.
TEST(ControlNet, ResidualsReachTheRowsTheyAreForAndNoOthers) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("controlled_unet_sd1"));
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  auto json = JsonConfig::Parse(replay.config(), "config");
  const UNet2DConditionModel unet(weights, *ParseUNetConfig(*json));
  Conditioning conditioning;
  conditioning.prompt_embeds = replay.input("text");
  const auto run = [&] { return unet(replay.input("x"), replay.input("timesteps"), conditioning); };
  const at::Tensor plain = run();
  const auto rows = [&](const std::string& name, int64_t first, int64_t count) {
    return replay.input(name).narrow(0, first, count);
  };
  const auto residuals = [&](std::vector<int64_t> of, int64_t first) {
    const auto count = static_cast<int64_t>(of.size());
    RowResiduals each{.rows = std::move(of), .down = {}, .mid = rows("mid", first, count)};
    for (int i = 0; i < 4; ++i) each.down.push_back(rows(absl::StrCat("down", i), first, count));
    return each;
  };
  conditioning.residuals = {residuals({0, 1, 2}, 0)};
  const at::Tensor all = run();
  conditioning.residuals = {residuals({0}, 0), residuals({2}, 2)};
  const at::Tensor some = run();
  EXPECT_TRUE(at::equal(some[1], plain[1]));
  EXPECT_TRUE(at::equal(some[0], all[0]));
  EXPECT_TRUE(at::equal(some[2], all[2]));
  EXPECT_FALSE(at::equal(some[0], plain[0]));
  conditioning.residuals = {residuals({0}, 0)};
  conditioning.residuals[0].down.pop_back();
  EXPECT_THROW(run(), c10::Error);
}

// "diffusers name" -> "original name", as diffusers' converter has them.
std::map<std::string, std::string> OriginalNames(const std::string& family) {
  std::ifstream file(absl::StrCat(STEPCAST_SOURCE_DIR "/tests/model/fixtures/original_names/control_", family, ".txt"));
  std::map<std::string, std::string> names;
  for (std::string line; std::getline(file, line);) {
    const size_t equals = line.find(" = ");
    names[std::string(absl::StripPrefix(line.substr(0, equals), "control/"))] = line.substr(equals + 3);
  }
  return names;
}

// The sizes of those names.
nlohmann::json SmallConfig(bool linear) {
  return {{"_class_name", "ControlNetModel"},
          {"block_out_channels", {64, 128, 128}},
          {"down_block_types", {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}},
          {"attention_head_dim", {1, 2, 2}},
          {"cross_attention_dim", 64},
          {"use_linear_projection", linear}};
}

struct Files {
  std::string folder;    // diffusers'
  std::string original;  // one file
  std::string bare;      // one file, without the prefix
  std::string plain;     // one file with diffusers' names
};

Files WriteEverywhere(const std::string& family, const nlohmann::json& config) {
  std::map<std::string, Shape> shapes;
  const Values values = ValuesFor([&](WeightMap& weights) { ControlNet(weights, ConfigOf(config)); }, &shapes);
  const std::map<std::string, std::string> originals = OriginalNames(family);
  EXPECT_EQ(originals.size(), values.size());
  Files files;
  files.folder = FreshFolder(absl::StrCat("control_", family));
  files.original = files.folder + "/original.safetensors";
  files.bare = files.folder + "/bare.safetensors";
  files.plain = files.folder + "/plain.safetensors";
  WriteFile(files.folder + "/config.json", config.dump());
  WriteWeights(values, shapes, files.folder + "/diffusion_pytorch_model.safetensors");
  WriteWeights(values, shapes, files.plain);
  Values original, bare;
  std::map<std::string, Shape> original_shapes, bare_shapes;
  for (const auto& [name, tensor] : values) {
    const std::string& other = originals.at(name);
    Shape shape = shapes.at(name);
    original[other] = tensor;
    original_shapes[other] = shape;
    const std::string short_name(absl::StripPrefix(other, "control_model."));
    bare[short_name] = tensor;
    bare_shapes[short_name] = shape;
  }
  WriteWeights(original, original_shapes, files.original);
  WriteWeights(bare, bare_shapes, files.bare);
  return files;
}

at::Tensor MidOf(const ControlNet& net) {
  const c10::InferenceMode no_autograd;
  at::manual_seed(6);
  Conditioning conditioning;
  conditioning.prompt_embeds = at::randn({1, 7, 64});
  const at::Tensor latents = at::randn({1, 4, 8, 8});
  ControlHint hint{net.EmbedHint(at::rand({1, 3, 64, 64})), {}, at::ones({1})};
  return net(latents, at::full({1}, 500.0), conditioning, {{hint}, {false}}).mid;
}

TEST(ControlNetLoader, EveryLayoutHoldsTheSameNet) {
  for (const auto& [family, linear] : {std::pair("sd1", false), std::pair("sd2", true)}) {
    const Files files = WriteEverywhere(family, SmallConfig(linear));
    const auto folder = LoadControlNet({.id = "edges", .path = files.folder});
    ASSERT_TRUE(folder.ok()) << folder.status();
    EXPECT_EQ(folder->info.id, "edges");
    EXPECT_EQ(folder->info.class_name, "ControlNetModel");
    EXPECT_EQ(folder->info.dtype, "fp32");
    EXPECT_EQ(folder->info.sha256.size(), 64u);
    EXPECT_EQ(folder->info.bytes, 4 * folder->info.parameters);
    const at::Tensor expected = MidOf(*folder->net);
    EXPECT_GT(expected.abs().max().item<double>(), 0);
    for (const std::string& path : {files.original, files.bare, files.plain}) {
      const auto loaded = LoadControlNet({.id = "edges", .path = path});
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_TRUE(at::equal(MidOf(*loaded->net), expected)) << path;
      EXPECT_EQ(loaded->info.shape, folder->info.shape) << path;
      EXPECT_TRUE(loaded->warnings.empty()) << path << loaded->warnings.front();
      EXPECT_TRUE(IsControlNet(path));
    }
    EXPECT_TRUE(IsControlNet(files.folder));
    EXPECT_FALSE(IsControlNet(files.folder + "/nowhere"));
  }
}

TEST(ControlNetLoader, UnionNetsAreToldByTheirTensors) {
  nlohmann::json config = SmallConfig(true);
  config["_class_name"] = "ControlNetUnionModel";
  config["conditioning_embedding_out_channels"] = {4, 8, 8, 12};
  config["addition_embed_type"] = "text_time";
  config["addition_time_embed_dim"] = 256;
  config["projection_class_embeddings_input_dim"] = 1600;
  config["num_control_type"] = 8;
  config["num_trans_channel"] = config["num_proj_channel"] = 64;
  config["num_trans_layer"] = 2;
  std::map<std::string, Shape> shapes;
  const Values values = ValuesFor([&](WeightMap& weights) { ControlNet(weights, ConfigOf(config)); }, &shapes);
  const std::string folder = FreshFolder("control_union");
  WriteFile(folder + "/config.json", config.dump());
  WriteWeights(values, shapes, folder + "/diffusion_pytorch_model.safetensors");
  WriteWeights(values, shapes, folder + "/alone.safetensors");
  for (const std::string& path : {folder, folder + "/alone.safetensors"}) {
    const auto loaded = LoadControlNet({.id = "union", .path = path});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->info.union_types, 8);
    EXPECT_EQ(loaded->info.class_name, "ControlNetUnionModel");
    EXPECT_EQ(loaded->info.shape.vector_width, 1600);
    EXPECT_EQ(loaded->info.shape.pixels_per_cell, 8);
  }
}

TEST(ControlNetLoader, OtherKindsOfControlAreRefusedByName) {
  const std::pair<const char*, const char*> kFiles[] = {
      {"lllite_unet_input_blocks_4_1.conditioning1.0.weight", "ControlNet-LLLite"},
      {"lora_controlnet", "Control-LoRA"},
      {"adapter.body.0.resnets.0.block1.weight", "T2I-Adapter"},
      {"lora_unet_down_blocks_0.lora_down.weight", "LoRA"},
      {"ip_adapter.1.to_k_ip.weight", "no ControlNet: it has no tensors controlnet_cond_embedding.*"},
      {"double_blocks.0.img_attn.qkv.weight", "Flux"},
      {"difference", "difference of a ControlNet to its base model"},
  };
  const std::string folder = FreshFolder("control_foreign");
  for (const auto& [tensor, what] : kFiles) {
    SafetensorsWriter writer;
    writer.Add(tensor, {2, 2}, {1, 2, 3, 4});
    const std::string path = folder + "/foreign.safetensors";
    WriteFile(path, writer.Build());
    const auto loaded = LoadControlNet({.id = "x", .path = path});
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(what)) << tensor;
    EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(path));
    EXPECT_FALSE(IsControlNet(path));
  }
}

TEST(ControlNetLoader, WhatIsMissingOrOddIsNamed) {
  const auto parse = [](nlohmann::json change) {
    nlohmann::json config = SmallConfig(false);
    config.update(change);
    auto json = JsonConfig::Parse(config.dump(), "config.json");
    return std::string(ParseControlNetConfig(*json, config.at("_class_name")).status().message());
  };
  EXPECT_EQ(parse(nlohmann::json::object()), "");
  EXPECT_THAT(parse({{"conditioning_channels", 6}}), HasSubstr("conditioning_channels: 6 is not supported"));
  EXPECT_THAT(parse({{"controlnet_conditioning_channel_order", "gbr"}}), HasSubstr("rgb, bgr are"));
  EXPECT_THAT(parse({{"encoder_hid_dim", 12}}), HasSubstr("encoder_hid_dim"));
  EXPECT_THAT(parse({{"layers_per_block", {1, 2, 2}}}), HasSubstr("layers_per_block"));
  EXPECT_THAT(parse({{"_class_name", "ControlNetUnionModel"}}), HasSubstr("num_trans_channel: 320"));

  const std::string folder = FreshFolder("control_odd");
  WriteFile(folder + "/config.json", R"({"_class_name": "SD3ControlNetModel"})");
  EXPECT_THAT(std::string(LoadControlNet({.id = "x", .path = folder}).status().message()),
              HasSubstr("'SD3ControlNetModel' is no ControlNet that is read"));
  EXPECT_FALSE(IsControlNet(folder));
  WriteFile(folder + "/config.json", SmallConfig(false).dump());
  EXPECT_EQ(LoadControlNet({.id = "x", .path = folder}).status().code(), absl::StatusCode::kNotFound);
  SafetensorsWriter writer;
  writer.Add("conv_in.weight", {64, 4, 3, 3}, std::vector<float>(64 * 4 * 9));
  WriteFile(folder + "/diffusion_pytorch_model.safetensors", writer.Build());
  EXPECT_THAT(std::string(LoadControlNet({.id = "x", .path = folder}).status().message()),
              AllOf(HasSubstr("ControlNet " + folder), HasSubstr("257 missing: conv_in.bias")));
}

// Of lllyasviel/sd-controlnet-*.
TEST(ControlNet, ThePublishedNetOfStableDiffusion1HasItsParameters) {
  const ControlNetConfig config =
      ConfigOf({{"_class_name", "ControlNetModel"}, {"cross_attention_dim", 768}, {"attention_head_dim", 8}});
  WeightMap weights;
  const ControlNet net(weights, config);
  EXPECT_EQ(weights.parameter_count(), 361'279'120);
  EXPECT_EQ(weights.requested().size(), 340u);
}

TEST(ControlShape, ANetFitsTheUNetItWasMadeFor) {
  const auto unet = [](nlohmann::json change) {
    nlohmann::json config = {{"cross_attention_dim", 768}};
    config.update(change);
    auto json = JsonConfig::Parse(config.dump(), "config");
    return ParseUNetConfig(*json).value();
  };
  const ControlNetConfig config = ConfigOf({{"_class_name", "ControlNetModel"}, {"cross_attention_dim", 768}});
  const auto net = ControlShapeOf(config.unet, 4, 8);
  EXPECT_EQ(net, ControlShapeOf(unet(nlohmann::json::object()), 4, 8));
  EXPECT_EQ(net, ControlShapeOf(unet({{"in_channels", 9}}), 4, 8)) << "an inpainting model";
  EXPECT_NE(net, ControlShapeOf(unet({{"cross_attention_dim", 1024}}), 4, 8));
  EXPECT_NE(net, ControlShapeOf(unet({{"layers_per_block", 1}}), 4, 8));
  EXPECT_NE(net, ControlShapeOf(unet(nlohmann::json::object()), 16, 8));
  EXPECT_EQ(ControlShapeOf(unet({{"encoder_hid_dim", 64}}), 4, 8), std::nullopt);
}

}  // namespace
}  // namespace stepcast::model
