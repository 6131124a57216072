#include "model/vae/autoencoder_config.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

void CheckBlockTypes(JsonConfig& json, absl::string_view key, const std::string& supported, size_t blocks) {
  const std::vector<std::string> types = json.Strings(key, std::vector<std::string>(blocks, supported));
  if (types.size() != blocks) json.Problem(key, absl::StrCat("one per block (", blocks, ") is needed"));
  for (const std::string& type : types) {
    if (type != supported)
      json.Problem(key, absl::StrCat("'", type.substr(0, 60), "' is not supported (", supported, " is)"));
  }
}

void CheckLatentStatistics(JsonConfig& json, const AutoencoderConfig& config) {
  const auto channels = static_cast<size_t>(config.latent_channels);
  const bool absent = config.latents_mean.empty() && config.latents_std.empty();
  if (!absent && (config.latents_mean.size() != channels || config.latents_std.size() != channels)) {
    json.Problem("latents_mean", absl::StrCat("latents_mean and latents_std need ", channels, " numbers each"));
  }
}

// One number, or a list whose first counts.
int64_t SampleSize(JsonConfig& json, int64_t fallback) {
  const nlohmann::json* value = json.Find("sample_size");
  if (value == nullptr || !value->is_array()) return json.Int("sample_size", fallback, 1, 1 << 16);
  return json.Ints("sample_size", {fallback}, 1, 1 << 16).front();
}

}  // namespace

absl::StatusOr<AutoencoderConfig> ParseAutoencoderConfig(JsonConfig& json, AutoencoderConfig config) {
  config.in_channels = json.Int("in_channels", config.in_channels, 1, 1024);
  config.out_channels = json.Int("out_channels", config.out_channels, 3, 3);
  config.block_out_channels = json.Ints("block_out_channels", config.block_out_channels, 1, 1 << 16);
  const size_t blocks = config.block_out_channels.size();
  if (blocks > 8) json.Problem("block_out_channels", "at most 8 blocks are supported");
  CheckBlockTypes(json, "down_block_types", "DownEncoderBlock2D", blocks);
  CheckBlockTypes(json, "up_block_types", "UpDecoderBlock2D", blocks);
  config.layers_per_block = json.Int("layers_per_block", config.layers_per_block, 1, 64);
  const absl::StatusOr<Activation> activation = ParseActivation(json.String("act_fn", "silu"));
  if (activation.ok()) {
    config.activation = *activation;
  } else {
    json.Problem("act_fn", activation.status().message());
  }
  config.latent_channels = json.Int("latent_channels", config.latent_channels, 1, 256);
  config.norm_num_groups = json.Int("norm_num_groups", config.norm_num_groups, 1);
  for (const int64_t channels : config.block_out_channels) {
    if (channels % config.norm_num_groups != 0) {
      json.Problem("norm_num_groups",
                   absl::StrCat(channels, " channels do not divide into ", config.norm_num_groups, " groups"));
    }
  }
  config.sample_size = SampleSize(json, config.sample_size);
  config.scaling_factor = json.Double("scaling_factor", config.scaling_factor);
  if (config.scaling_factor == 0) json.Problem("scaling_factor", "must not be 0");
  config.shift_factor = json.Double("shift_factor", config.shift_factor);
  config.latents_mean = json.Doubles("latents_mean");
  config.latents_std = json.Doubles("latents_std");
  CheckLatentStatistics(json, config);
  config.force_upcast = json.Bool("force_upcast", config.force_upcast);
  config.use_quant_conv = json.Bool("use_quant_conv", config.use_quant_conv);
  config.use_post_quant_conv = json.Bool("use_post_quant_conv", config.use_post_quant_conv);
  config.mid_block_add_attention = json.Bool("mid_block_add_attention", config.mid_block_add_attention);
  json.Refuse("quantization_config");
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return config;
}

}  // namespace stepcast::model
