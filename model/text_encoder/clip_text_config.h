#pragma once
// The config.json of a CLIP text model.

#include <cstdint>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/layers/activation.h"

namespace stepcast::model {

struct ClipTextConfig {
  int64_t vocab_size = 49408;
  int64_t hidden_size = 512;
  int64_t intermediate_size = 2048;
  int64_t projection_dim = 512;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 8;
  int64_t max_position_embeddings = 77;
  Activation activation = Activation::kQuickGelu;
  double layer_norm_eps = 1e-5;
  int64_t eos_token_id = 49407;
  bool with_projection = false;  // CLIPTextModelWithProjection
};

// `class_name`: "CLIPTextModel" or "CLIPTextModelWithProjection", from model_index.json.
// Errors: INVALID_ARGUMENT listing every bad field.
absl::StatusOr<ClipTextConfig> ParseClipTextConfig(JsonConfig& json, absl::string_view class_name);

}  // namespace stepcast::model
