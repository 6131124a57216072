#include "model/classifier/latent_classifier_config.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/unet/unet_fields.h"

namespace stepcast::model {

absl::StatusOr<LatentClassifierConfig> ParseLatentClassifierConfig(JsonConfig& json) {
  LatentClassifierConfig config;
  config.in_channels = json.Int("in_channels", 4, 1, 1024);
  config.num_classes = json.Int("num_classes", 10, 1);
  config.block_out_channels = json.Ints("block_out_channels", {48, 64}, 1, 1 << 16);
  config.layers_per_block = json.Int("layers_per_block", 2, 1, 64);
  config.norm_num_groups = json.Int("norm_num_groups", 16, 1);
  config.norm_eps = json.Double("norm_eps", 1e-5);
  config.flip_sin_to_cos = json.Bool("flip_sin_to_cos", true);
  config.freq_shift = json.Double("freq_shift", 0);
  config.activation = ReadActivation(json, "act_fn", json.String("act_fn", "silu"));
  const std::optional<std::string> gain = json.OptionalString("logit_gain");
  config.cosine_gain = gain == "cosine";
  if (gain.has_value() && !config.cosine_gain) {
    json.Problem("logit_gain", absl::StrCat("'", gain->substr(0, 40), "' is not supported (cosine is)"));
  }
  for (const int64_t channels : config.block_out_channels) {
    if (channels % config.norm_num_groups != 0) {
      json.Problem("norm_num_groups",
                   absl::StrCat(channels, " channels do not divide into ", config.norm_num_groups, " groups"));
    }
  }
  json.Ignore({"sample_size"});  // any size works
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return config;
}

}  // namespace stepcast::model
