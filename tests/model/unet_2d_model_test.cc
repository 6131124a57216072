#include "model/unet/unet_2d_model.h"

#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

UNet2DConfig ConfigOf(const std::string& text) {
  auto json = JsonConfig::Parse(text, "config");
  auto config = ParseUNet2DConfig(*json);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

// The tiny class-conditional U-Net of the fixtures, with three random rows.
struct Tiny {
  Tiny()
      : replay(FindCase("unet_2d_digits")),
        weights(replay.weights(), c10::DeviceType::CPU, at::kFloat),
        unet(weights, ConfigOf(replay.config())) {
    at::manual_seed(8);
    latents = at::randn({3, 4, 8, 8});
    timesteps = at::tensor({981.0, 500.5, 1.0}, at::kFloat);
    labels = at::tensor({3, 10, 0}, at::kLong);
  }
  at::Tensor Run(const at::Tensor& x, const at::Tensor& t, const at::Tensor& classes) const {
    Conditioning conditioning;
    conditioning.class_labels = classes;
    return unet(x, t, conditioning);
  }

  c10::InferenceMode no_autograd;
  Replay replay;
  WeightMap weights;
  UNet2DModel unet;
  at::Tensor latents;
  at::Tensor timesteps;
  at::Tensor labels;
};

TEST(UNet2DModel, RowsDoNotSeeEachOther) {
  const Tiny tiny;
  const at::Tensor together = tiny.Run(tiny.latents, tiny.timesteps, tiny.labels);
  at::Tensor latents = tiny.latents.clone();
  at::Tensor labels = tiny.labels.clone();
  latents[0].zero_();
  latents[2].zero_();
  labels[0].fill_(7);
  labels[2].fill_(9);
  EXPECT_EQ(Compare(tiny.Run(latents, tiny.timesteps, labels)[1], together[1]).max, 0);
  for (int64_t row = 0; row < 3; ++row) {
    const at::Tensor alone =
        tiny.Run(tiny.latents.narrow(0, row, 1), tiny.timesteps.narrow(0, row, 1), tiny.labels.narrow(0, row, 1));
    // Kernels may split the work of another batch size differently; nothing else may change.
    EXPECT_LT(Compare(alone[0], together[row]).max, 1e-5) << row;
  }
}

TEST(UNet2DModel, TheClassDecides) {
  const Tiny tiny;
  const at::Tensor other = at::tensor({4, 10, 0}, at::kLong);
  const at::Tensor before = tiny.Run(tiny.latents, tiny.timesteps, tiny.labels);
  const at::Tensor after = tiny.Run(tiny.latents, tiny.timesteps, other);
  EXPECT_GT(Compare(after[0], before[0]).relative, 1e-3);
  EXPECT_EQ(Compare(after[1], before[1]).max, 0);
}

TEST(UNet2DModel, RefusesInputsOfOtherShapes) {
  const Tiny tiny;
  EXPECT_THROW(tiny.Run(at::zeros({3, 5, 8, 8}), tiny.timesteps, tiny.labels), c10::Error);
  EXPECT_THROW(tiny.Run(tiny.latents, tiny.timesteps.narrow(0, 0, 2), tiny.labels), c10::Error);
  EXPECT_THROW(tiny.Run(tiny.latents, tiny.timesteps, tiny.labels.narrow(0, 0, 2)), c10::Error);
  EXPECT_THROW(tiny.Run(tiny.latents, tiny.timesteps, at::Tensor()), c10::Error);
}

// Exact counts of diffusers' own networks: a layout that is wrong anywhere would miss them.
TEST(UNet2DModel, HasTheParametersOfThePublishedModels) {
  struct Count {
    const char* name;
    const char* config;
    size_t tensors;
    int64_t parameters;
  };
  const Count kCounts[] = {
      {"class defaults", "{}", 432, 274'056'163},
      {"ddpm-cifar10-32", R"({"block_out_channels": [128, 256, 256, 256], "attention_head_dim": null,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"], "norm_eps": 1e-6,
        "downsample_padding": 0, "flip_sin_to_cos": false, "freq_shift": 1, "sample_size": 32})",
       328, 35'746'307},
  };
  for (const Count& count : kCounts) {
    WeightMap shapes;
    const UNet2DModel unet(shapes, ConfigOf(count.config));
    EXPECT_EQ(shapes.requested().size(), count.tensors) << count.name;
    EXPECT_EQ(shapes.parameter_count(), count.parameters) << count.name;
  }
}

struct Refusal {
  const char* config;
  const char* message;
};

TEST(UNet2DConfig, RefusesByName) {
  const Refusal kRefusals[] = {
      {R"({"down_block_types": ["AttnSkipDownBlock2D"], "up_block_types": ["UpBlock2D"], "block_out_channels": [32]})",
       "down_block_types: 'AttnSkipDownBlock2D' is not supported"},
      {R"({"down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["UpBlock2D"], "block_out_channels": [32]})",
       "down_block_types: blocks that attend to text"},
      {R"({"block_out_channels": [32, 64]})", "must be equally long"},
      {R"({"block_out_channels": [32, 64, 64, 90]})", "norm_num_groups: 90 channels"},
      {R"({"attention_head_dim": 100})", "attention_head_dim"},
      {R"({"attn_norm_num_groups": 13})", "attn_norm_num_groups: 896 channels do not divide into 13 groups"},
      {R"({"time_embedding_type": "random"})", "time_embedding_type: 'random'"},
      {R"({"time_embedding_type": "learned"})", "num_train_timesteps: needed"},
      {R"({"resnet_time_scale_shift": "spatial"})", "resnet_time_scale_shift: 'spatial'"},
      {R"({"class_embed_type": "identity"})", "class_embed_type: 'identity'"},
      {R"({"downsample_type": "fir"})", "downsample_type: 'fir'"},
      {R"({"mid_block_type": "UNetMidBlock2DCrossAttn"})", "mid_block_type"},
      {R"({"mid_block_scale_factor": 0})", "mid_block_scale_factor"},
  };
  for (const Refusal& refusal : kRefusals) {
    auto json = JsonConfig::Parse(refusal.config, "unet/config.json");
    const absl::Status status = ParseUNet2DConfig(*json).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << refusal.config;
    EXPECT_NE(status.message().find(refusal.message), absl::string_view::npos) << status;
  }
}

TEST(UNet2DConfig, HeadsAreChannelsOverTheirWidth) {
  const UNet2DConfig config = ConfigOf("{}");
  EXPECT_EQ(config.unet.mid_heads, 896 / 8);
  EXPECT_EQ(config.unet.up_blocks.front().heads, 896 / 8);
  EXPECT_EQ(config.unet.up_blocks.front().layers, 3);
  EXPECT_EQ(ConfigOf(R"({"attention_head_dim": null})").unet.mid_heads, 1);
  EXPECT_EQ(config.unet.mid_attention_groups, 32);
  EXPECT_EQ(ConfigOf(R"({"resnet_time_scale_shift": "scale_shift"})").unet.mid_attention_groups, 0);
  EXPECT_EQ(config.unet.output_activation, Activation::kSilu);
  EXPECT_EQ(ConfigOf(R"({"act_fn": "mish"})").unet.output_activation, Activation::kSilu);
}

}  // namespace
}  // namespace stepcast::model
