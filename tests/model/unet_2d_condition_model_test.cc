#include "model/unet/unet_2d_condition_model.h"

#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "model/text_encoder/clip_text_model.h"
#include "model/vae/autoencoder_kl.h"
#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

UNetConfig ConfigOf(const std::string& text) {
  auto json = JsonConfig::Parse(text, "config");
  auto config = ParseUNetConfig(*json);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

// The tiny Stable-Diffusion-1-shaped U-Net of the fixtures, with three random rows.
struct Tiny {
  Tiny()
      : replay(FindCase("unet_sd1")),
        weights(replay.weights(), c10::DeviceType::CPU, at::kFloat),
        unet(weights, ConfigOf(replay.config())) {
    at::manual_seed(8);
    latents = at::randn({3, 4, 16, 16});
    timesteps = at::tensor({981.0, 500.5, 1.0}, at::kFloat);
    text = at::randn({3, 7, 8});
  }
  at::Tensor Run(const at::Tensor& x, const at::Tensor& t, const at::Tensor& embeds) const {
    Conditioning conditioning;
    conditioning.prompt_embeds = embeds;
    return unet(x, t, conditioning);
  }

  c10::InferenceMode no_autograd;
  Replay replay;
  WeightMap weights;
  UNet2DConditionModel unet;
  at::Tensor latents;
  at::Tensor timesteps;
  at::Tensor text;
};

// Kernels may split the work of another batch size differently; nothing else may change.
constexpr double kOtherBatch = 1e-5;

TEST(UNet2DConditionModel, RowsDoNotSeeEachOther) {
  const Tiny tiny;
  const at::Tensor together = tiny.Run(tiny.latents, tiny.timesteps, tiny.text);
  at::Tensor latents = tiny.latents.clone();
  at::Tensor timesteps = tiny.timesteps.clone();
  at::Tensor text = tiny.text.clone();
  for (const int64_t neighbour : {0, 2}) {
    latents[neighbour].zero_();
    timesteps[neighbour].fill_(3);
    text[neighbour].zero_();
  }
  EXPECT_EQ(Compare(tiny.Run(latents, timesteps, text)[1], together[1]).max, 0) << "same batch, other neighbours";
}

TEST(UNet2DConditionModel, AnyOrderAndAnyCompanyGiveTheSameRows) {
  const Tiny tiny;
  const at::Tensor together = tiny.Run(tiny.latents, tiny.timesteps, tiny.text);
  const at::Tensor order = at::tensor({2, 0, 1}, at::kLong);
  const at::Tensor permuted = tiny.Run(tiny.latents.index_select(0, order), tiny.timesteps.index_select(0, order),
                                       tiny.text.index_select(0, order));
  EXPECT_LT(Compare(permuted, together.index_select(0, order)).max, kOtherBatch);
  for (int64_t row = 0; row < 3; ++row) {
    const at::Tensor alone =
        tiny.Run(tiny.latents.narrow(0, row, 1), tiny.timesteps.narrow(0, row, 1), tiny.text.narrow(0, row, 1));
    EXPECT_LT(Compare(alone[0], together[row]).max, kOtherBatch) << row;
  }
}

TEST(UNet2DConditionModel, LeavesItsInputsAlone) {
  const Tiny tiny;
  for (const bool channels_last : {false, true}) {
    const at::Tensor latents =
        channels_last ? tiny.latents.contiguous(at::MemoryFormat::ChannelsLast) : tiny.latents.clone();
    const at::Tensor text = tiny.text.clone();
    const at::Tensor timesteps = tiny.timesteps.clone();
    tiny.Run(latents, timesteps, text);
    EXPECT_EQ(Compare(latents, tiny.latents).max, 0);
    EXPECT_EQ(Compare(text, tiny.text).max, 0);
    EXPECT_EQ(Compare(timesteps, tiny.timesteps).max, 0);
  }
}

TEST(UNet2DConditionModel, PreparedConditioningGivesTheSamePrediction) {
  const Tiny tiny;
  Conditioning conditioning;
  conditioning.prompt_embeds = tiny.text;
  const Conditioning prepared = tiny.unet.Prepare(conditioning);
  ASSERT_TRUE(prepared.prepared_text.defined());
  const at::Tensor plain = tiny.unet(tiny.latents, tiny.timesteps, conditioning);
  EXPECT_TRUE(plain.equal(tiny.unet(tiny.latents, tiny.timesteps, prepared)));
  // It is what the model reads then: the text itself is not looked at again.
  Conditioning only_prepared = prepared;
  only_prepared.prompt_embeds = at::zeros_like(tiny.text);
  EXPECT_TRUE(plain.equal(tiny.unet(tiny.latents, tiny.timesteps, only_prepared)));
  EXPECT_FALSE(tiny.unet.Prepare(Conditioning{}).prepared_text.defined());
}

TEST(UNet2DConditionModel, RefusesInputsOfOtherShapes) {
  const Tiny tiny;
  EXPECT_THROW(tiny.Run(at::zeros({3, 5, 16, 16}), tiny.timesteps, tiny.text), c10::Error);
  EXPECT_THROW(tiny.Run(tiny.latents, tiny.timesteps.narrow(0, 0, 2), tiny.text), c10::Error);
  EXPECT_THROW(tiny.Run(tiny.latents, tiny.timesteps, tiny.text.narrow(0, 0, 2)), c10::Error);
  EXPECT_THROW(tiny.Run(tiny.latents, tiny.timesteps, at::Tensor()), c10::Error);
}

TEST(UNet2DConditionModel, SdxlNeedsItsAdditionalInputs) {
  const c10::InferenceMode no_autograd;
  const Replay replay(FindCase("unet_sdxl"));
  WeightMap weights(replay.weights(), c10::DeviceType::CPU, at::kFloat);
  const UNet2DConditionModel unet(weights, ConfigOf(replay.config()));
  Conditioning conditioning;
  conditioning.prompt_embeds = replay.input("text");
  EXPECT_THROW(unet(replay.input("x"), replay.input("timesteps"), conditioning), c10::Error);
  conditioning.text_embeds = replay.input("text_embeds");
  conditioning.time_ids = at::zeros({2, 5});
  EXPECT_THROW(unet(replay.input("x"), replay.input("timesteps"), conditioning), c10::Error) << "five ids, six wanted";
}

struct Count {
  const char* name;
  std::string config;
  size_t tensors;
  int64_t parameters;
};

constexpr char kSdxlBlocks[] = R"("block_out_channels": [320, 640, 1280], "use_linear_projection": true,
  "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "addition_embed_type": "text_time",
  "addition_time_embed_dim": 256, )";

// Exact counts of published models: a layout that is wrong anywhere would miss them.
TEST(UNet2DConditionModel, HasTheParametersOfThePublishedModels) {
  const Count kCounts[] = {
      {"SD1", R"({"cross_attention_dim": 768})", 686, 859'520'964},
      {"SD1 inpaint", R"({"cross_attention_dim": 768, "in_channels": 9})", 686, 859'535'364},
      {"SD1 LCM", R"({"cross_attention_dim": 768, "time_cond_proj_dim": 256})", 687, 859'602'884},
      {"SD2", R"({"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": true})",
       686, 865'910'724},
      {"SDXL", std::string("{") + kSdxlBlocks + R"("transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048,
        "projection_class_embeddings_input_dim": 2816})",
       1680, 2'567'463'684},
      {"SDXL refiner", R"({"block_out_channels": [384, 768, 1536, 1536], "use_linear_projection": true,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "addition_embed_type": "text_time", "transformer_layers_per_block": 4, "attention_head_dim": [6, 12, 24, 24],
        "cross_attention_dim": 1280, "projection_class_embeddings_input_dim": 2560})",
       1220, 2'259'526'660},
  };
  for (const Count& count : kCounts) {
    WeightMap shapes;
    const UNet2DConditionModel unet(shapes, ConfigOf(count.config));
    EXPECT_EQ(shapes.requested().size(), count.tensors) << count.name;
    EXPECT_EQ(shapes.parameter_count(), count.parameters) << count.name;
  }
}

}  // namespace
}  // namespace stepcast::model
