#include "model/text_encoder/clip_text_config.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::model {

absl::StatusOr<ClipTextConfig> ParseClipTextConfig(JsonConfig& json, absl::string_view class_name) {
  ClipTextConfig config;
  config.with_projection = class_name == "CLIPTextModelWithProjection";
  if (!config.with_projection && class_name != "CLIPTextModel") {
    json.Problem("_class_name", absl::StrCat("text encoder ", class_name,
                                             " is not supported (CLIPTextModel, CLIPTextModelWithProjection are)"));
  }
  config.vocab_size = json.Int("vocab_size", config.vocab_size, 1);
  config.hidden_size = json.Int("hidden_size", config.hidden_size, 1, 1 << 16);
  config.intermediate_size = json.Int("intermediate_size", config.intermediate_size, 1, 1 << 18);
  config.projection_dim = json.Int("projection_dim", config.projection_dim, 1, 1 << 16);
  config.num_hidden_layers = json.Int("num_hidden_layers", config.num_hidden_layers, 1, 256);
  config.num_attention_heads = json.Int("num_attention_heads", config.num_attention_heads, 1, 1024);
  config.max_position_embeddings = json.Int("max_position_embeddings", config.max_position_embeddings, 1, 4096);
  config.layer_norm_eps = json.Double("layer_norm_eps", config.layer_norm_eps);
  config.eos_token_id = json.Int("eos_token_id", config.eos_token_id);
  const absl::StatusOr<Activation> activation = ParseActivation(json.String("hidden_act", "quick_gelu"));
  if (activation.ok()) {
    config.activation = *activation;
  } else {
    json.Problem("hidden_act", activation.status().message());
  }
  if (config.hidden_size % config.num_attention_heads != 0) {
    json.Problem("num_attention_heads", absl::StrCat(config.hidden_size, " channels do not divide into ",
                                                     config.num_attention_heads, " heads"));
  }
  json.Refuse("use_attention_mask");
  json.Refuse("quantization_config");
  // Training settings and bookkeeping of the library that wrote the file.
  json.Ignore({"architectures", "attention_dropout", "bos_token_id", "dropout", "dtype", "initializer_factor",
               "initializer_range", "model_type", "pad_token_id", "torch_dtype", "transformers_version"});
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return config;
}

}  // namespace stepcast::model
