// The three component configs: their tables of defaults, and what they refuse.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/text_encoder/clip_text_config.h"
#include "model/unet/unet_config.h"
#include "model/vae/autoencoder_config.h"

namespace stepcast::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

JsonConfig Json(const std::string& text) {
  auto json = JsonConfig::Parse(text, "config.json");
  EXPECT_TRUE(json.ok()) << json.status();
  return *std::move(json);
}

absl::StatusOr<UNetConfig> UNet(const std::string& text) {
  JsonConfig json = Json(text);
  return ParseUNetConfig(json);
}

TEST(ParseUNetConfig, AnEmptyFileIsStableDiffusionOne) {
  const auto config = UNet("{}");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->down_blocks.size(), 4U);
  EXPECT_EQ(config->down_blocks[0].attention, BlockAttention::kTransformer);
  EXPECT_EQ(config->down_blocks[3].attention, BlockAttention::kNone);
  EXPECT_EQ(config->up_blocks[0].attention, BlockAttention::kNone);
  EXPECT_EQ(config->up_blocks[3].attention, BlockAttention::kTransformer);
  EXPECT_EQ(config->down_blocks[1].channels, 640);
  EXPECT_EQ(config->up_blocks[3].channels, 320);
  EXPECT_EQ(config->down_blocks[0].layers, 2);
  EXPECT_EQ(config->up_blocks[0].layers, 3);
  EXPECT_EQ(config->down_blocks[2].heads, 8);
  EXPECT_EQ(config->time_embedding_dim, 1280);
  EXPECT_EQ(config->cross_attention_dim, 1280);
  EXPECT_EQ(config->norm_eps, 1e-5);
  EXPECT_EQ(config->mid_block, MidBlockKind::kTransformer);
}

TEST(ParseUNetConfig, MirrorsListsOnTheWayUp) {
  const auto config = UNet(R"({"block_out_channels": [32, 64, 96], "attention_head_dim": [2, 4, 6],
      "layers_per_block": [1, 2, 3], "transformer_layers_per_block": [1, 2, 10],
      "only_cross_attention": [true, false, false],
      "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "UNetResCrossAttnDownBlock2D"],
      "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->up_blocks[0].heads, 6);
  EXPECT_EQ(config->up_blocks[0].layers, 4);
  EXPECT_THAT(config->up_blocks[0].transformer_layers, ElementsAre(10, 10, 10, 10));
  EXPECT_THAT(config->down_blocks[1].transformer_layers, ElementsAre(2, 2));
  EXPECT_TRUE(config->down_blocks[0].only_cross_attention);
  EXPECT_TRUE(config->up_blocks[2].only_cross_attention);
  EXPECT_EQ(config->mid_heads, 6);
  EXPECT_EQ(config->mid_transformer_layers, 10);
}

// In blocks of spatial attention, attention_head_dim is the width of a head, and the reference does not mirror it.
TEST(ParseUNetConfig, SpatialAttentionCountsHeadsByTheirWidth) {
  const auto config = UNet(R"({"block_out_channels": [32, 64], "attention_head_dim": [8, 16],
      "down_block_types": ["AttnDownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D"]})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->down_blocks[0].heads, 4);
  EXPECT_EQ(config->down_blocks[1].heads, 4);
  EXPECT_EQ(config->up_blocks[0].heads, 8) << "64 channels, the first head width";
  EXPECT_EQ(config->up_blocks[1].heads, 2) << "32 channels, the second head width";
}

TEST(ParseUNetConfig, TakesDepthsPerResnet) {
  const std::string blocks = R"("block_out_channels": [32, 32], "attention_head_dim": 4,
      "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
      "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "transformer_layers_per_block": [[1, 2], [1, 1]])";
  const auto config = UNet("{" + blocks + R"(, "reverse_transformer_layers_per_block": [[1, 1, 1], [3, 2, 1]]})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->down_blocks[0].transformer_layers, ElementsAre(1, 2));
  EXPECT_THAT(config->up_blocks[1].transformer_layers, ElementsAre(3, 2, 1));
  EXPECT_THAT(std::string(UNet("{" + blocks + "}").status().message()),
              HasSubstr("reverse_transformer_layers_per_block"));
}

TEST(ParseUNetConfig, NullMeansAbsent) {
  const auto config = UNet(R"({"upcast_attention": null, "class_embed_type": null, "time_cond_proj_dim": null,
      "num_class_embeds": null, "addition_embed_type": null, "encoder_hid_dim": null, "sample_size": null})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->class_embedding, ClassEmbedding::kNone);
  EXPECT_EQ(config->sample_height, 0);
}

TEST(ParseUNetConfig, RefusesByNameWhatIsNotBuilt) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"({"down_block_types": ["SkipDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"]})",
       "down_block_types: 'SkipDownBlock2D' is not supported (DownBlock2D, "},
      {R"({"up_block_types": ["SimpleCrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"]})",
       "up_block_types: 'SimpleCrossAttnUpBlock2D'"},
      {R"({"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"})", "mid_block_type: 'UNetMidBlock2DSimpleCrossAttn'"},
      {R"({"block_out_channels": [32]})", "must be equally long"},
      {R"({"block_out_channels": [320, 640, 1280, 1281]})", "1281 channels do not divide into 32 groups"},
      {R"({"attention_head_dim": 7})", "320 channels do not divide into 7 heads"},
      {R"({"attention_head_dim": [8, 8]})", "one value per block (4)"},
      {R"({"act_fn": "tanh"})", "act_fn: activation 'tanh' is not known"},
      {R"({"time_embedding_type": "fourier"})", "time_embedding_type: \"fourier\" is not supported"},
      {R"({"attention_type": "gated"})", "attention_type: \"gated\" is not supported"},
      {R"({"dual_cross_attention": true})", "dual_cross_attention: true is not supported"},
      {R"({"cross_attention_norm": "layer_norm"})", "cross_attention_norm"},
      {R"({"num_attention_heads": 8})", "num_attention_heads: 8 is not supported"},
      {R"({"class_embed_type": "projection"})", "class_embed_type: 'projection'"},
      {R"({"class_embeddings_concat": true})", "class_embeddings_concat"},
      {R"({"addition_embed_type": "image"})", "addition_embed_type: 'image'"},
      {R"({"addition_embed_type": "text_time"})", "projection_class_embeddings_input_dim: needed"},
      {R"({"encoder_hid_dim_type": "image_proj"})", "encoder_hid_dim_type"},
      {R"({"resnet_time_scale_shift": "spatial"})", "resnet_time_scale_shift: 'spatial'"},
      {R"({"cross_attention_dim": [768, 768, 768, 1024]})", "cross_attention_dim: blocks that read"},
      {R"({"quantization_config": {"bits": 4}})", "quantization_config"},
      {R"({"conv_in_kernel": 4})", "must be odd"},
      {R"({"resnet_skip_time_act": true})", "resnet_skip_time_act: true is not supported"},
      {R"({"resnet_out_scale_factor": 0})", "divided by 0"},
      {R"({"transformer_layers_per_block": [1, 2]})", "transformer_layers_per_block: an integer 0..256, or 4"},
      {R"({"sample_size": [64, 64, 64]})", "sample_size: one integer or"},
      {R"({"layers_per_block": 1000000})", "layers_per_block: 1000000 is outside 1..64"},
      {R"({"layers_per_block": [2, 2, 2, 65]})", "layers_per_block: 65 is outside 1..64"},
      {R"({"layers_per_block": 64, "transformer_layers_per_block": 256})", "; at most 4096"},
  };
  for (const auto& [text, message] : kBad) {
    const absl::Status status = UNet(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

TEST(ParseAutoencoderConfig, OldFilesHaveTheScaleOfStableDiffusionOne) {
  JsonConfig json = Json(R"({"block_out_channels": [128, 256, 512, 512],
      "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"]})");
  const auto config = ParseAutoencoderConfig(json);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->scaling_factor, 0.18215);
  EXPECT_EQ(config->scale_factor(), 8);
  EXPECT_TRUE(config->use_post_quant_conv);
}

TEST(ParseAutoencoderConfig, ANullScaleIsNone) {
  for (const char* scale : {R"({"scaling_factor": null})", R"({"scaling_factor": NaN})"}) {
    JsonConfig json = Json(scale);
    const auto config = ParseAutoencoderConfig(json);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->scaling_factor, 0.18215) << scale;
  }
}

TEST(ParseAutoencoderConfig, NamesEveryBadValue) {
  JsonConfig json = Json(R"({"down_block_types": ["AttnDownEncoderBlock2D"], "up_block_types": ["X"],
      "norm_num_groups": 5, "scaling_factor": 0, "latents_mean": [1, 2], "out_channels": 4, "act_fn": "no"})");
  const std::string message(ParseAutoencoderConfig(json).status().message());
  for (const char* part :
       {"AttnDownEncoderBlock2D", "up_block_types: 'X'", "64 channels do not divide into 5 groups",
        "scaling_factor: must not be 0", "latents_mean and latents_std need 4", "out_channels: 4", "act_fn"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST(ParseClipTextConfig, ReadsTheTowerAndKnowsItsClass) {
  JsonConfig json = Json(R"({"hidden_size": 768, "num_attention_heads": 12, "hidden_act": "quick_gelu",
                             "eos_token_id": 2, "architectures": ["CLIPTextModel"], "torch_dtype": "float32"})");
  const auto config = ParseClipTextConfig(json, "CLIPTextModelWithProjection");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->with_projection);
  EXPECT_EQ(config->hidden_size, 768);
  EXPECT_EQ(config->num_hidden_layers, 12);
  EXPECT_TRUE(json.UnknownKeys().empty());
}

TEST(ParseClipTextConfig, NamesEveryBadValue) {
  JsonConfig json = Json(R"({"hidden_size": 30, "num_attention_heads": 4, "hidden_act": "tanh", "vocab_size": 0,
                             "use_attention_mask": true})");
  const std::string message(ParseClipTextConfig(json, "T5EncoderModel").status().message());
  for (const char* part : {"T5EncoderModel is not supported", "30 channels do not divide into 4 heads", "hidden_act",
                           "vocab_size: 0 is outside", "use_attention_mask: true"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

}  // namespace
}  // namespace stepcast::model
