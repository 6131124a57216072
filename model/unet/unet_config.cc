#include "model/unet/unet_config.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/unet/unet_fields.h"

namespace stepcast::model {
namespace {

// Bounds of what a config of a few bytes can make: every layer is built before a missing weight is told.
constexpr int64_t kMaxLayersPerBlock = 64;
constexpr int64_t kMaxLayers = 4096;  // residual and transformer layers; SDXL has 87

// A config whose lists are still as the file has them: one value per down block.
struct Lists {
  std::vector<std::string> down_types;
  std::vector<std::string> up_types;
  std::vector<int64_t> channels;
  std::vector<int64_t> layers;
  std::vector<int64_t> head_dim;  // heads of transformers, head width of spatial attention
  std::vector<bool> only_cross;
  std::vector<std::vector<int64_t>> transformers;     // per down block, one per resnet or one for all
  std::vector<std::vector<int64_t>> up_transformers;  // per up block
};

// transformer_layers_per_block: one integer, one per block, or one list per block.
std::vector<std::vector<int64_t>> TransformerLayers(JsonConfig& json, absl::string_view key, size_t blocks) {
  const nlohmann::json* value = json.Find(key);
  std::vector<std::vector<int64_t>> lists;
  const auto depth = [](const nlohmann::json& entry) -> int64_t {
    if (!entry.is_number_integer()) return -1;
    const double number = entry.get<double>();
    return number >= 0 && number <= 256 ? entry.get<int64_t>() : -1;
  };
  for (size_t i = 0; i < blocks; ++i) {
    std::vector<int64_t> layers;
    if (value == nullptr) {
      layers = {1};
    } else if (!value->is_array()) {
      layers = {depth(*value)};
    } else if (value->size() == blocks && value->at(i).is_array() && value->at(i).size() <= 64) {
      for (const nlohmann::json& entry : value->at(i)) layers.push_back(depth(entry));
    } else if (value->size() == blocks) {
      layers = {depth(value->at(i))};
    }
    if (layers.empty() || std::find(layers.begin(), layers.end(), -1) != layers.end()) {
      json.Problem(key, absl::StrCat("an integer 0..256, or ", blocks, " of them, or ", blocks, " lists are needed"));
      return std::vector<std::vector<int64_t>>(blocks, {1});
    }
    lists.push_back(std::move(layers));
  }
  return lists;
}

bool HasNested(const nlohmann::json* value) {
  return value != nullptr && value->is_array() && !value->empty() && value->front().is_array();
}

// The way up repeats the way down where the file says nothing of it.
Lists ReadLists(JsonConfig& json, UNetPart part) {
  Lists lists;
  lists.down_types = json.Strings(
      "down_block_types", {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"});
  const size_t blocks = lists.down_types.size();
  const bool whole = part == UNetPart::kWhole;
  if (whole) {
    lists.up_types =
        json.Strings("up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"});
  } else {
    lists.up_types.assign(blocks, "UpBlock2D");
  }
  lists.channels = json.Ints("block_out_channels", {320, 640, 1280, 1280}, 1, 1 << 16);
  if (lists.up_types.size() != blocks || lists.channels.size() != blocks) {
    json.Problem("block_out_channels",
                 whole ? "down_block_types, up_block_types and block_out_channels must be equally long"
                       : "down_block_types and block_out_channels must be equally long");
    lists.up_types.resize(blocks, "UpBlock2D");
    lists.channels.resize(blocks, 32);
  }
  lists.layers = json.IntPerBlock("layers_per_block", 2, blocks, kMaxLayersPerBlock);
  lists.head_dim = json.IntPerBlock("attention_head_dim", 8, blocks);
  lists.only_cross = json.BoolPerBlock("only_cross_attention", false, blocks);
  lists.transformers = TransformerLayers(json, "transformer_layers_per_block", blocks);
  if (!whole) {
    lists.up_transformers.assign(blocks, {1});
  } else if (json.Find("reverse_transformer_layers_per_block") != nullptr) {
    lists.up_transformers = TransformerLayers(json, "reverse_transformer_layers_per_block", blocks);
  } else {
    lists.up_transformers.assign(lists.transformers.rbegin(), lists.transformers.rend());
    if (HasNested(json.Find("transformer_layers_per_block"))) {
      json.Problem("reverse_transformer_layers_per_block", "needed when transformer_layers_per_block holds lists");
    }
  }
  return lists;
}

// One depth per resnet: a single one is meant for all.
std::vector<int64_t> DepthPerResnet(std::vector<int64_t> depths, int64_t resnets, JsonConfig& json) {
  if (depths.size() == 1) depths.assign(static_cast<size_t>(resnets), depths.front());
  if (depths.size() != static_cast<size_t>(resnets)) {
    json.Problem("transformer_layers_per_block", absl::StrCat("a list must have one depth per resnet (", resnets, ")"));
    depths.resize(static_cast<size_t>(resnets), 1);
  }
  return depths;
}

void ResolveBlocks(const Lists& lists, JsonConfig& json, UNetConfig& config) {
  const size_t blocks = lists.channels.size();
  for (size_t i = 0; i < blocks; ++i) {
    UNetBlockConfig down;
    SetDownType(lists.down_types[i], json, down);
    down.channels = lists.channels[i];
    down.layers = lists.layers[i];
    down.heads = down.attention == BlockAttention::kSpatial ? down.channels / lists.head_dim[i] : lists.head_dim[i];
    down.only_cross_attention = lists.only_cross[i];
    down.transformer_layers = DepthPerResnet(lists.transformers[i], down.layers, json);
    if (down.attention != BlockAttention::kNone) CheckHeads(down, json);
    config.down_blocks.push_back(std::move(down));

    const size_t mirror = blocks - 1 - i;
    UNetBlockConfig up;
    SetUpType(lists.up_types[i], json, up);
    up.channels = lists.channels[mirror];
    up.layers = lists.layers[mirror] + 1;
    // The reference hands spatial attention its head width in the order of the down path, even on the way up.
    up.heads = up.attention == BlockAttention::kSpatial ? up.channels / lists.head_dim[i] : lists.head_dim[mirror];
    up.only_cross_attention = lists.only_cross[mirror];
    up.transformer_layers = DepthPerResnet(lists.up_transformers[i], up.layers, json);
    if (up.attention != BlockAttention::kNone) CheckHeads(up, json);
    config.up_blocks.push_back(std::move(up));
  }
  int64_t layers = lists.transformers.back().front();
  for (const auto* path : {&config.down_blocks, &config.up_blocks}) {
    for (const UNetBlockConfig& block : *path) {
      for (const int64_t depth : block.transformer_layers) layers += 1 + depth;
    }
  }
  if (layers > kMaxLayers) {
    json.Problem("layers_per_block", absl::StrCat(layers, " layers with their transformers; at most ", kMaxLayers));
  }
  config.mid_heads = lists.head_dim.back();
  config.mid_transformer_layers = lists.transformers.back().front();
}

std::optional<Activation> OptionalActivation(JsonConfig& json, absl::string_view key) {
  const std::optional<std::string> name = json.OptionalString(key);
  if (!name.has_value()) return std::nullopt;
  return ReadActivation(json, key, *name);
}

void ReadMidBlock(JsonConfig& json, UNetConfig& config) {
  const std::string mid = json.String("mid_block_type", "UNetMidBlock2DCrossAttn");
  if (mid == "UNetMidBlock2DCrossAttn") {
    config.mid_block = MidBlockKind::kTransformer;
    UNetBlockConfig block;
    block.channels = config.mid_channels();
    block.heads = config.mid_heads;
    CheckHeads(block, json);
  } else if (mid == "UNetMidBlock2D") {
    config.mid_block = MidBlockKind::kResnetOnly;
  } else {
    json.Problem("mid_block_type", absl::StrCat("'", mid.substr(0, 60),
                                                "' is not supported (UNetMidBlock2DCrossAttn, UNetMidBlock2D are)"));
  }
}

void ReadTimeAndClass(JsonConfig& json, UNetConfig& config) {
  config.flip_sin_to_cos = json.Bool("flip_sin_to_cos", true);
  config.freq_shift = json.Double("freq_shift", 0);
  json.Refuse("time_embedding_type", "positional");
  config.time_embedding_dim = json.Int("time_embedding_dim", 4 * config.first_channels(), 1);
  config.time_embedding_activation = OptionalActivation(json, "time_embedding_act_fn");
  config.timestep_post_activation = OptionalActivation(json, "timestep_post_act");
  config.time_cond_proj_dim = json.Int("time_cond_proj_dim", 0);
  const std::string shift = json.String("resnet_time_scale_shift", "default");
  config.time_scale_shift = shift == "scale_shift";
  if (shift != "default" && shift != "scale_shift") {
    json.Problem("resnet_time_scale_shift", absl::StrCat("'", shift.substr(0, 40), "' is not supported"));
  }
  json.Refuse("resnet_skip_time_act");

  config.num_class_embeds = json.Int("num_class_embeds", 0);
  if (config.num_class_embeds > 0) config.class_embedding = ClassEmbedding::kTable;
  const std::optional<std::string> class_type = json.OptionalString("class_embed_type");
  if (class_type == "timestep") {
    config.class_embedding = ClassEmbedding::kTimestep;
  } else if (class_type.has_value()) {
    json.Problem("class_embed_type", absl::StrCat("'", class_type->substr(0, 40), "' is not supported (timestep is)"));
  }
  json.Refuse("class_embeddings_concat");

  const std::optional<std::string> addition = json.OptionalString("addition_embed_type");
  const int64_t addition_dim = json.Int("addition_time_embed_dim", 256, 1);
  const int64_t addition_input = json.Int("projection_class_embeddings_input_dim", 0);
  if (addition == "text_time") {
    config.addition_time_embed_dim = addition_dim;
    config.projection_class_embeddings_input_dim = addition_input;
    if (addition_input == 0) json.Problem("projection_class_embeddings_input_dim", "needed by text_time");
  } else if (addition.has_value()) {
    json.Problem("addition_embed_type",
                 absl::StrCat("'", addition->substr(0, 40), "' is not supported (text_time is)"));
  }
}

// The text that cross-attention reads has one width.
void ReadText(JsonConfig& json, size_t blocks, UNetConfig& config) {
  const std::vector<int64_t> widths = json.IntPerBlock("cross_attention_dim", 1280, blocks);
  config.cross_attention_dim = widths.front();
  if (std::any_of(widths.begin(), widths.end(), [&](int64_t width) { return width != widths.front(); })) {
    json.Problem("cross_attention_dim", "blocks that read texts of different widths are not supported");
  }
  config.encoder_hid_dim = json.Int("encoder_hid_dim", 0);
  json.Refuse("encoder_hid_dim_type", "text_proj");
  config.use_linear_projection = json.Bool("use_linear_projection", false);
  json.Refuse("attention_type", "default");
  json.Refuse("dual_cross_attention");
  json.Refuse("cross_attention_norm");
  json.Refuse("num_attention_heads");
  json.Refuse("quantization_config");
}

}  // namespace

UNetConfig ReadUNetFields(JsonConfig& json, UNetPart part) {
  UNetConfig config;
  const Lists lists = ReadLists(json, part);
  ResolveBlocks(lists, json, config);
  if (part == UNetPart::kEncoder) config.up_blocks.clear();
  ReadMidBlock(json, config);
  ReadSampleSize(json, config);
  config.in_channels = json.Int("in_channels", 4, 1, 1024);
  config.out_channels = json.Int("out_channels", 4, 1, 1024);
  config.center_input_sample = json.Bool("center_input_sample", false);
  config.downsample_padding = json.Int("downsample_padding", 1, 0, 1);
  config.mid_block_scale_factor = json.Double("mid_block_scale_factor", 1);
  config.activation = ReadActivation(json, "act_fn", json.String("act_fn", "silu"));
  config.output_activation = config.activation;
  config.norm_num_groups = json.Int("norm_num_groups", 32, 1);
  config.norm_eps = json.Double("norm_eps", 1e-5);
  config.resnet_out_scale_factor = json.Double("resnet_out_scale_factor", 1);
  if (config.resnet_out_scale_factor == 0 || config.mid_block_scale_factor == 0) {
    json.Problem("resnet_out_scale_factor", "a sum cannot be divided by 0");
  }
  config.conv_in_kernel = json.Int("conv_in_kernel", 3, 1, 15);
  config.conv_out_kernel = json.Int("conv_out_kernel", 3, 1, 15);
  if (config.conv_in_kernel % 2 == 0 || config.conv_out_kernel % 2 == 0) {
    json.Problem("conv_in_kernel", "conv_in_kernel and conv_out_kernel must be odd");
  }
  ReadTimeAndClass(json, config);
  ReadText(json, lists.channels.size(), config);
  CheckGroups(config, json);
  // Without effect on this path: SDPA accumulates in float32, dropout is off, and the rest belongs to other blocks.
  // upcast_attention asks for scores in float32: every kernel below adds them up so (model/layers/attention.h).
  json.Ignore({"upcast_attention", "dropout", "addition_embed_type_num_heads", "mid_block_only_cross_attention",
               "conv_in_padding"});
  return config;
}

absl::StatusOr<UNetConfig> ParseUNetConfig(JsonConfig& json) {
  UNetConfig config = ReadUNetFields(json, UNetPart::kWhole);
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return config;
}

}  // namespace stepcast::model
