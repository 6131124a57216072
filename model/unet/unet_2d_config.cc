#include "model/unet/unet_2d_config.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/unet/unet_fields.h"

namespace stepcast::model {
namespace {

// Whether blocks with attention resample with a resnet instead of a convolution.
bool ResamplesWithResnet(JsonConfig& json, absl::string_view key) {
  const std::string type = json.String(key, "conv");
  if (type != "conv" && type != "resnet") {
    json.Problem(key, absl::StrCat("'", type.substr(0, 40), "' is not supported (conv, resnet are)"));
  }
  return type == "resnet";
}

// A width of 0 means one head. 0 heads: the channels do not divide by the width.
int64_t Heads(int64_t channels, int64_t head_dim) {
  if (head_dim == 0) return 1;
  return channels % head_dim == 0 ? channels / head_dim : 0;
}

void RefuseTransformer(const UNetBlockConfig& block, absl::string_view key, JsonConfig& json) {
  if (block.attention == BlockAttention::kTransformer) {
    json.Problem(key, "blocks that attend to text belong to a UNet2DConditionModel");
  }
}

void ReadBlocks(JsonConfig& json, UNetConfig& config) {
  const std::vector<std::string> down_types =
      json.Strings("down_block_types", {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"});
  std::vector<std::string> up_types =
      json.Strings("up_block_types", {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"});
  std::vector<int64_t> channels = json.Ints("block_out_channels", {224, 448, 672, 896}, 1, 1 << 16);
  const size_t blocks = down_types.size();
  if (up_types.size() != blocks || channels.size() != blocks) {
    json.Problem("block_out_channels", "down_block_types, up_block_types and block_out_channels must be equally long");
    up_types.resize(blocks, "UpBlock2D");
    channels.resize(blocks, 32);
  }
  const int64_t layers = json.Int("layers_per_block", 2, 1, 64);
  // Absent, the default is 8; null means one head.
  const int64_t head_dim = json.Find("attention_head_dim") == nullptr && json.Has("attention_head_dim")
                               ? 0
                               : json.Int("attention_head_dim", 8, 1);
  const bool resnet_down = ResamplesWithResnet(json, "downsample_type");
  const bool resnet_up = ResamplesWithResnet(json, "upsample_type");
  for (size_t i = 0; i < blocks; ++i) {
    UNetBlockConfig down;
    SetDownType(down_types[i], json, down);
    RefuseTransformer(down, "down_block_types", json);
    down.channels = channels[i];
    down.layers = layers;
    down.heads = Heads(down.channels, head_dim);
    const bool down_attends = down.attention == BlockAttention::kSpatial;
    if (down_attends && resnet_down) down.resampler = BlockResampler::kResnet;
    if (down_attends) CheckHeads(down, json);
    config.down_blocks.push_back(std::move(down));

    UNetBlockConfig up;
    SetUpType(up_types[i], json, up);
    RefuseTransformer(up, "up_block_types", json);
    up.channels = channels[blocks - 1 - i];
    up.layers = layers + 1;
    up.heads = Heads(up.channels, head_dim);
    const bool up_attends = up.attention == BlockAttention::kSpatial;
    if (up_attends && resnet_up) up.resampler = BlockResampler::kResnet;
    if (up_attends) CheckHeads(up, json);
    config.up_blocks.push_back(std::move(up));
  }
  config.mid_heads = Heads(config.mid_channels(), head_dim);
}

void ReadMidBlock(JsonConfig& json, UNetConfig& config) {
  config.mid_block_scale_factor = json.Double("mid_block_scale_factor", 1);
  if (config.mid_block_scale_factor == 0) json.Problem("mid_block_scale_factor", "a sum cannot be divided by 0");
  const std::optional<int64_t> groups = json.OptionalInt("attn_norm_num_groups", 1);
  config.mid_attention_groups = groups.value_or(config.time_scale_shift ? 0 : config.norm_num_groups);
  const bool attends = json.Bool("add_attention", true);
  if (json.Has("mid_block_type") && json.Find("mid_block_type") == nullptr) {
    config.mid_block = MidBlockKind::kNone;
    return;
  }
  config.mid_block = attends ? MidBlockKind::kSpatial : MidBlockKind::kTwoResnets;
  json.Refuse("mid_block_type", "UNetMidBlock2D");
  if (!attends) return;
  UNetBlockConfig block;
  block.channels = config.mid_channels();
  block.heads = config.mid_heads;
  CheckHeads(block, json);
  if (groups.has_value() && block.channels % *groups != 0) {
    json.Problem("attn_norm_num_groups",
                 absl::StrCat(block.channels, " channels do not divide into ", *groups, " groups"));
  }
}

void ReadTime(JsonConfig& json, UNet2DConfig& config) {
  config.unet.flip_sin_to_cos = json.Bool("flip_sin_to_cos", true);
  config.unet.freq_shift = json.Double("freq_shift", 0);
  config.unet.time_embedding_dim = json.Int("time_embedding_dim", 4 * config.unet.first_channels(), 1);
  config.num_train_timesteps = json.Int("num_train_timesteps", 0);
  const std::string type = json.String("time_embedding_type", "positional");
  if (type == "fourier") {
    config.time_projection = TimeProjection::kFourier;
  } else if (type == "learned") {
    config.time_projection = TimeProjection::kLearned;
    if (config.num_train_timesteps == 0) json.Problem("num_train_timesteps", "needed by learned time embeddings");
  } else if (type != "positional") {
    json.Problem("time_embedding_type",
                 absl::StrCat("'", type.substr(0, 40), "' is not supported (positional, fourier, learned are)"));
  }
  const std::string shift = json.String("resnet_time_scale_shift", "default");
  config.unet.time_scale_shift = shift == "scale_shift";
  if (shift != "default" && shift != "scale_shift") {
    json.Problem("resnet_time_scale_shift", absl::StrCat("'", shift.substr(0, 40), "' is not supported"));
  }
}

void ReadClass(JsonConfig& json, UNetConfig& config) {
  config.num_class_embeds = json.Int("num_class_embeds", 0);
  const std::optional<std::string> type = json.OptionalString("class_embed_type");
  if (type == "timestep") {
    config.class_embedding = ClassEmbedding::kTimestep;
  } else if (type.has_value()) {
    json.Problem("class_embed_type", absl::StrCat("'", type->substr(0, 40), "' is not supported (timestep is)"));
  } else if (config.num_class_embeds > 0) {
    config.class_embedding = ClassEmbedding::kTable;
  }
}

}  // namespace

absl::StatusOr<UNet2DConfig> ParseUNet2DConfig(JsonConfig& json) {
  UNet2DConfig config;
  UNetConfig& unet = config.unet;
  ReadBlocks(json, unet);
  ReadSampleSize(json, unet);
  unet.in_channels = json.Int("in_channels", 3, 1, 1024);
  unet.out_channels = json.Int("out_channels", 3, 1, 1024);
  unet.center_input_sample = json.Bool("center_input_sample", false);
  unet.downsample_padding = json.Int("downsample_padding", 1, 0, 1);
  unet.activation = ReadActivation(json, "act_fn", json.String("act_fn", "silu"));
  unet.norm_num_groups = json.Int("norm_num_groups", 32, 1);
  unet.norm_eps = json.Double("norm_eps", 1e-5);
  ReadTime(json, config);
  ReadClass(json, unet);
  ReadMidBlock(json, unet);
  CheckGroups(unet, json);
  json.Refuse("quantization_config");
  json.Ignore({"dropout"});  // off at inference
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return config;
}

}  // namespace stepcast::model
