#include "model/text_encoder/clip_text_model.h"

#include <utility>

#include <ATen/ops/embedding.h>

#include "absl/strings/strip.h"
#include "model/layers/attention.h"

namespace stepcast::model {

ClipEncoderLayer::ClipEncoderLayer(const WeightScope& scope, const ClipTextConfig& config)
    : heads_(config.num_attention_heads),
      activation_(config.activation),
      layer_norm1_(scope / "layer_norm1", config.hidden_size, config.layer_norm_eps),
      qkv_proj_(Linear::Fused(
          {scope / "self_attn" / "q_proj", scope / "self_attn" / "k_proj", scope / "self_attn" / "v_proj"},
          config.hidden_size, config.hidden_size, /*bias=*/true)),
      out_proj_(scope / "self_attn" / "out_proj", config.hidden_size, config.hidden_size),
      layer_norm2_(scope / "layer_norm2", config.hidden_size, config.layer_norm_eps),
      fc1_(scope / "mlp" / "fc1", config.hidden_size, config.intermediate_size),
      fc2_(scope / "mlp" / "fc2", config.intermediate_size, config.hidden_size) {}

at::Tensor ClipEncoderLayer::operator()(const at::Tensor& x, const RowAdapters* adapters) const {
  const at::Tensor qkv = qkv_proj_(layer_norm1_(x), adapters);
  const int64_t width = x.size(2);
  const at::Tensor mixed = ScaledDotProduct(qkv.narrow(2, 0, width), qkv.narrow(2, width, width),
                                            qkv.narrow(2, 2 * width, width), heads_, /*causal=*/true);
  const at::Tensor attended = out_proj_.AddTo(x, mixed, adapters);
  return fc2_.AddTo(attended, ActivateInPlace(fc1_(layer_norm2_(attended), adapters), activation_), adapters);
}

ClipTextModel::ClipTextModel(WeightMap& weights, const ClipTextConfig& config)
    : config_(config),
      token_embedding_(
          (weights.Root() / "embeddings" / "token_embedding").Get("weight", {config.vocab_size, config.hidden_size})),
      position_embedding_((weights.Root() / "embeddings" / "position_embedding")
                              .Get("weight", {config.max_position_embeddings, config.hidden_size})),
      final_layer_norm_(weights.Root() / "final_layer_norm", config.hidden_size, config.layer_norm_eps) {
  const WeightScope layers = weights.Root() / "encoder" / "layers";
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(layers / i, config);
  if (config.with_projection) {
    text_projection_.emplace(weights.Root() / "text_projection", config.hidden_size, config.projection_dim,
                             /*bias=*/false);
  }
  sites_ = weights.sites();
}

at::Tensor ClipTextModel::HiddenStates(const TowerInput& input, int64_t skip) const {
  at::Tensor x = at::embedding(token_embedding_, input.ids);
  for (const TokenVectors& each : input.vectors) x.select(0, each.row).select(0, each.position).copy_(each.vector);
  x.add_(position_embedding_.narrow(0, 0, input.ids.size(1)));
  const size_t depth = layers_.size() - static_cast<size_t>(skip);
  for (size_t i = 0; i < depth; ++i) x = layers_[i](x, input.adapters.get());
  return x;
}

at::Tensor ClipTextModel::LastLayers(at::Tensor hidden_states, int64_t skip, const RowAdapters* adapters) const {
  for (size_t i = layers_.size() - static_cast<size_t>(skip); i < layers_.size(); ++i) {
    hidden_states = layers_[i](hidden_states, adapters);
  }
  return hidden_states;
}

at::Tensor ClipTextModel::Pooled(const at::Tensor& last_hidden_state, const at::Tensor& ids,
                                 const RowAdapters* adapters) const {
  // eos_token_id 2 is a mistake of the oldest configs: there the end is where the largest id first stands.
  const at::Tensor end =
      config_.eos_token_id == 2 ? ids.argmax(1) : ids.eq(config_.eos_token_id).to(at::kInt).argmax(1);
  const at::Tensor at_end = end.view({-1, 1, 1}).expand({-1, 1, last_hidden_state.size(2)});
  const at::Tensor pooled = last_hidden_state.gather(1, at_end).squeeze(1);
  return text_projection_.has_value() ? (*text_projection_)(pooled, adapters) : pooled;
}

std::string CanonicalClipName(absl::string_view name) {
  const absl::string_view plain = absl::StripPrefix(name, "text_model.");
  return plain == "embeddings.position_ids" ? std::string() : std::string(plain);
}

}  // namespace stepcast::model
