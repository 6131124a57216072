#pragma once
// The transformer of cross-attention blocks: cells of the picture attend to each other and to the text.

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/layers/attention.h"
#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

struct TransformerOptions {
  int64_t channels = 0;
  int64_t heads = 1;
  int64_t layers = 1;
  int64_t groups = 32;
  int64_t cross_attention_dim = 0;    // width of the text; 0: no attn2
  bool only_cross_attention = false;  // attn1 reads the text too
  bool linear_projection = false;     // proj_in and proj_out are stored as matrices, not as 1x1 convolutions
  StackedLinear* text = nullptr;      // collects the text projections; null: each attention keeps its own
};

// Feed-forward with a gated GELU (Shazeer 2020): u * gelu(g), [u, g] = proj(x); then back to the input width.
class FeedForward {
 public:
  FeedForward(const WeightScope& scope, int64_t channels);
  // residual + ff(x), both [B, L, channels].
  at::Tensor operator()(const at::Tensor& residual, const at::Tensor& x, const RowAdapters* adapters = nullptr) const;

 private:
  Linear proj_;  // [channels -> 8 * channels]: values, then gates
  Linear out_;   // [4 * channels -> channels]
};

// x += attn1(norm1(x)); x += attn2(norm2(x), text); x += ff(norm3(x)). LayerNorm eps 1e-5.
class BasicTransformerBlock {
 public:
  BasicTransformerBlock(const WeightScope& scope, const TransformerOptions& options);
  // [B, L, channels]
  at::Tensor operator()(at::Tensor x, const AttentionContext& text, const RowAdapters* adapters = nullptr) const;

 private:
  bool attn1_reads_text_;
  LayerNorm norm1_;
  Attention attn1_;
  std::optional<LayerNorm> norm2_;
  std::optional<Attention> attn2_;
  LayerNorm norm3_;
  FeedForward ff_;
};

// x + proj_out(blocks(proj_in(norm(x)))). The norm's eps is 1e-6, unlike the rest of a U-Net.
class Transformer2DModel {
 public:
  Transformer2DModel(const WeightScope& scope, const TransformerOptions& options);

  // x [B, channels, H, W]. `text`: its states are the product of options.text [B, S, its width]; without a stack
  // [B, S, cross_attention_dim], or undefined (x attends to itself).
  at::Tensor operator()(const at::Tensor& x, const AttentionContext& text, const RowAdapters* adapters = nullptr) const;

 private:
  GroupNorm norm_;
  Linear proj_in_;
  std::vector<BasicTransformerBlock> blocks_;
  Linear proj_out_;
};

}  // namespace stepcast::model
