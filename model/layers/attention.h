#pragma once
// Scaled dot-product attention (Vaswani et al. 2017) in the two flavours that diffusion networks use.

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// softmax(q kᵀ / sqrt(D) + mask) v. q [B, L, heads * D], k and v [B, S, heads * D]; `causal` hides later positions;
// `mask` as in AttentionContext. Returns [B, L, heads * D]. Scores are added up in float32 whatever the inputs are, so
// upcast_attention asks for nothing.
at::Tensor ScaledDotProduct(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t heads,
                            bool causal = false, const at::Tensor& mask = {});

// What cells of a picture attend to.
struct AttentionContext {
  at::Tensor states;     // [B, S, *]
  at::Tensor mask = {};  // [B, 1, 1, S] in the dtype of the states: 0, or -inf for what a row has not; undefined: none
};
// The mask for scores of what Conditioning::text_mask [B, S] says; undefined where that is.
at::Tensor ScoreMask(const at::Tensor& text_mask, c10::ScalarType dtype);

struct AttentionOptions {
  int64_t channels = 0;
  int64_t heads = 1;
  int64_t context_channels = 0;      // width of what is attended to; 0: self-attention
  StackedLinear* context = nullptr;  // collects to_k and to_v, so that all layers project the text in one product
};

// Attention of a transformer block. No biases but in the output.
class Attention {
 public:
  Attention(const WeightScope& scope, const AttentionOptions& options);

  // residual + attention of x. Both [B, L, channels].
  // `context`, for cross-attention: its states are the stack's product [B, S, width] when the options had a stack, else
  // [B, S, context_channels]. Undefined: x attends to itself (needs equal widths and no stack).
  at::Tensor operator()(const at::Tensor& residual, const at::Tensor& x, const AttentionContext& context = {},
                        const RowAdapters* adapters = nullptr) const;

 private:
  int64_t channels_;
  int64_t heads_;
  StackedLinear::Slice context_;
  std::optional<Linear> to_qkv_;  // self-attention
  std::optional<Linear> to_q_;    // cross-attention
  std::optional<Linear> to_kv_;   // cross-attention without a stack
  Linear to_out_;
};

// Attention over the cells of a picture, with its own norm and residual; the middle of autoencoders and the
// Attn blocks of U-Nets.
class AttentionBlock {
 public:
  struct Options {
    int64_t channels = 0;
    int64_t heads = 1;
    int64_t groups = 32;  // 0: no norm before the attention
    double eps = 1e-6;
    double output_scale = 1.0;
  };
  AttentionBlock(const WeightScope& scope, const Options& options);

  // [B, channels, H, W], same out
  at::Tensor operator()(const at::Tensor& x, const RowAdapters* adapters = nullptr) const;

 private:
  int64_t heads_;
  double output_scale_;
  std::optional<GroupNorm> group_norm_;
  Linear to_qkv_;
  Linear to_out_;
};

// [B, C, H, W] <-> [B, H * W, C]; a view when channels lie last in memory.
at::Tensor ToTokens(const at::Tensor& x);
at::Tensor FromTokens(const at::Tensor& tokens, int64_t height, int64_t width);

}  // namespace stepcast::model
