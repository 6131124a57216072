#pragma once
// What tells a union ControlNet of which kinds its hints are, and joins them (ControlNetUnionModel of diffusers).

#include <vector>

#include <ATen/core/Tensor.h>

#include "model/control/control_net_config.h"
#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/layers/timestep_embedding.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// A hint of R rows.
struct ControlHint {
  at::Tensor embedding;        // [R, first channels, h, w]
  std::vector<int64_t> types;  // of each row, 0 .. types - 1; of union nets alone
  at::Tensor scale;            // [R] float32
};

// A layer of the transformer over the tokens of hints: attention, then an MLP with a quick GELU, each behind a norm.
//
// The reference's attention runs over the rows of its batch, not over the tokens of a row. The rows of one picture have
// equal tokens, and attention over equal keys hands on the value: that is what is computed here, so that rows never
// meet.
class UnionTransformerLayer {
 public:
  UnionTransformerLayer(const WeightScope& scope, int64_t width);
  at::Tensor operator()(const at::Tensor& tokens) const;  // [R, width]

 private:
  LayerNorm ln_1_;
  Linear value_proj_;
  Linear out_proj_;
  LayerNorm ln_2_;
  Linear c_fc_;
  Linear c_proj_;
};

// Immutable; const methods only.
class UnionFuser {
 public:
  // `config` with is_union().
  UnionFuser(WeightMap& weights, const ControlNetConfig& config);

  // What the time embedding is added for the kinds of `hints`: [R, time_embedding_dim] of `dtype`.
  at::Tensor EmbedTypes(const std::vector<ControlHint>& hints, c10::ScalarType dtype) const;
  // `state` [R, first channels, h, w] and what all hints add to it.
  at::Tensor Fuse(const at::Tensor& state, const std::vector<ControlHint>& hints) const;

 private:
  ControlUnionConfig config_;
  at::Tensor task_embedding_;  // [types, width]
  std::vector<UnionTransformerLayer> layers_;
  Linear spatial_ch_projs_;
  Sinusoid control_type_proj_;
  TimestepEmbedding control_add_embedding_;
};

}  // namespace stepcast::model
