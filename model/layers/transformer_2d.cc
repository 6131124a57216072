#include "model/layers/transformer_2d.h"

#include <utility>

#include <ATen/ops/gelu.h>

namespace stepcast::model {
namespace {

constexpr double kLayerNormEps = 1e-5;
constexpr double kGroupNormEps = 1e-6;

// A 1x1 convolution is a matrix over tokens; older models store it with its kernel dimensions.
Linear Projection(const WeightScope& scope, const TransformerOptions& options) {
  const int64_t channels = options.channels;
  if (options.linear_projection) return Linear(scope, channels, channels);
  return Linear(scope.Get("weight", {channels, channels, 1, 1}).view({channels, channels}),
                scope.Get("bias", {channels}), scope.AddSite(channels, channels));
}

AttentionOptions SelfOptions(const TransformerOptions& options) {
  AttentionOptions attention{.channels = options.channels, .heads = options.heads};
  if (options.only_cross_attention) {
    attention.context_channels = options.cross_attention_dim;
    attention.context = options.text;
  }
  return attention;
}

}  // namespace

FeedForward::FeedForward(const WeightScope& scope, int64_t channels)
    : proj_(scope / "net" / 0 / "proj", channels, 8 * channels), out_(scope / "net" / 2, 4 * channels, channels) {}

at::Tensor FeedForward::operator()(const at::Tensor& residual, const at::Tensor& x, const RowAdapters* adapters) const {
  const at::Tensor both = proj_(x, adapters);
  const int64_t width = both.size(-1) / 2;
  return out_.AddTo(residual, at::gelu(both.narrow(-1, width, width)).mul_(both.narrow(-1, 0, width)), adapters);
}

BasicTransformerBlock::BasicTransformerBlock(const WeightScope& scope, const TransformerOptions& options)
    : attn1_reads_text_(options.only_cross_attention),
      norm1_(scope / "norm1", options.channels, kLayerNormEps),
      attn1_(scope / "attn1", SelfOptions(options)),
      norm3_(scope / "norm3", options.channels, kLayerNormEps),
      ff_(scope / "ff", options.channels) {
  if (options.cross_attention_dim == 0) return;
  norm2_.emplace(scope / "norm2", options.channels, kLayerNormEps);
  attn2_.emplace(scope / "attn2", AttentionOptions{.channels = options.channels,
                                                   .heads = options.heads,
                                                   .context_channels = options.cross_attention_dim,
                                                   .context = options.text});
}

at::Tensor BasicTransformerBlock::operator()(at::Tensor x, const AttentionContext& text,
                                             const RowAdapters* adapters) const {
  x = attn1_(x, norm1_(x), attn1_reads_text_ ? text : AttentionContext(), adapters);
  if (attn2_.has_value()) x = (*attn2_)(x, (*norm2_)(x), text, adapters);
  return ff_(x, norm3_(x), adapters);
}

Transformer2DModel::Transformer2DModel(const WeightScope& scope, const TransformerOptions& options)
    : norm_(scope / "norm", options.channels, options.groups, kGroupNormEps),
      proj_in_(Projection(scope / "proj_in", options)),
      proj_out_(Projection(scope / "proj_out", options)) {
  for (int64_t i = 0; i < options.layers; ++i) blocks_.emplace_back(scope / "transformer_blocks" / i, options);
}

at::Tensor Transformer2DModel::operator()(const at::Tensor& x, const AttentionContext& text,
                                          const RowAdapters* adapters) const {
  at::Tensor tokens = proj_in_(ToTokens(norm_(x)), adapters);
  for (const BasicTransformerBlock& block : blocks_) tokens = block(std::move(tokens), text, adapters);
  return FromTokens(proj_out_.AddTo(ToTokens(x), tokens, adapters), x.size(2), x.size(3));
}

}  // namespace stepcast::model
