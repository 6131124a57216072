#pragma once
// CLIP's text tower (Radford et al. 2021).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/strings/string_view.h"
#include "model/files/load_report.h"
#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/text_encoder/clip_text_config.h"
#include "model/text_encoder/tower_input.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Pre-norm transformer layer with causal attention.
class ClipEncoderLayer {
 public:
  ClipEncoderLayer(const WeightScope& scope, const ClipTextConfig& config);
  // [B, L, hidden]
  at::Tensor operator()(const at::Tensor& x, const RowAdapters* adapters = nullptr) const;

 private:
  int64_t heads_;
  Activation activation_;
  LayerNorm layer_norm1_;
  Linear qkv_proj_;
  Linear out_proj_;
  LayerNorm layer_norm2_;
  Linear fc1_;
  Linear fc2_;
};

// Immutable; const methods only, no threads.
class ClipTextModel {
 public:
  ClipTextModel(WeightMap& weights, const ClipTextConfig& config);

  // input.ids [B, L] on the tower's device, L <= max_position_embeddings. Returns the hidden states [B, L, hidden]
  // after `skip` layers fewer than all, 0 <= skip <= layers, without the final norm.
  at::Tensor HiddenStates(const TowerInput& input, int64_t skip) const;
  // The rest of the way: HiddenStates(input, skip) through the last `skip` layers.
  at::Tensor LastLayers(at::Tensor hidden_states, int64_t skip, const RowAdapters* adapters = nullptr) const;
  at::Tensor FinalNorm(const at::Tensor& hidden_states) const { return final_layer_norm_(hidden_states); }
  // The state at each row's end token (after the final norm), projected when the model has a projection.
  // `last_hidden_state` [B, L, hidden] -> [B, projection or hidden].
  at::Tensor Pooled(const at::Tensor& last_hidden_state, const at::Tensor& ids,
                    const RowAdapters* adapters = nullptr) const;

  const ClipTextConfig& config() const { return config_; }
  // The layers that LoRAs can change; `component`: what the model calls it.
  LoraNetwork lora_network(const std::string& component) const {
    return {component, sites_, DtypeName(token_embedding_.scalar_type())};
  }

 private:
  ClipTextConfig config_;
  at::Tensor token_embedding_;     // [vocab, hidden]
  at::Tensor position_embedding_;  // [positions, hidden]
  std::vector<ClipEncoderLayer> layers_;
  LayerNorm final_layer_norm_;
  std::optional<Linear> text_projection_;
  std::vector<LoraSite> sites_;
};

// Accepts files with and without the `text_model.` prefix, and drops the position_ids buffer of older ones.
std::string CanonicalClipName(absl::string_view name);

}  // namespace stepcast::model
