#include "model/layers/attention.h"

#include <optional>
#include <utility>

#include <ATen/ops/scaled_dot_product_attention.h>

namespace stepcast::model {
namespace {

// [B, L, heads * D] -> [B, heads, L, D], a view.
at::Tensor SplitHeads(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

std::optional<at::Tensor> OptionalMask(const at::Tensor& mask) {
  return mask.defined() ? std::optional(mask) : std::nullopt;
}

// The three parts of a fused projection [B, L, 3C].
at::Tensor SelfAttend(const at::Tensor& qkv, int64_t heads) {
  const int64_t channels = qkv.size(2) / 3;
  return ScaledDotProduct(qkv.narrow(2, 0, channels), qkv.narrow(2, channels, channels),
                          qkv.narrow(2, 2 * channels, channels), heads);
}

}  // namespace

at::Tensor ScaledDotProduct(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t heads, bool causal,
                            const at::Tensor& mask) {
  const at::Tensor mixed = at::scaled_dot_product_attention(SplitHeads(q, heads), SplitHeads(k, heads),
                                                            SplitHeads(v, heads), OptionalMask(mask), 0.0, causal);
  return mixed.transpose(1, 2).reshape({q.size(0), q.size(1), q.size(2)});
}

at::Tensor ScoreMask(const at::Tensor& text_mask, c10::ScalarType dtype) {
  return text_mask.defined() ? text_mask.to(dtype).unsqueeze(1).unsqueeze(1) : at::Tensor();
}

at::Tensor ToTokens(const at::Tensor& x) {
  return x.permute({0, 2, 3, 1}).reshape({x.size(0), x.size(2) * x.size(3), x.size(1)});
}

at::Tensor FromTokens(const at::Tensor& tokens, int64_t height, int64_t width) {
  return tokens.view({tokens.size(0), height, width, tokens.size(2)}).permute({0, 3, 1, 2});
}

Attention::Attention(const WeightScope& scope, const AttentionOptions& options)
    : channels_(options.channels),
      heads_(options.heads),
      to_out_(scope / "to_out" / 0, options.channels, options.channels) {
  const int64_t channels = options.channels;
  if (options.context_channels == 0) {
    to_qkv_ = Linear::Fused({scope / "to_q", scope / "to_k", scope / "to_v"}, channels, channels, /*bias=*/false);
    return;
  }
  to_q_.emplace(scope / "to_q", channels, channels, /*bias=*/false);
  const int64_t context = options.context_channels;
  if (options.context == nullptr) {
    to_kv_ = Linear::Fused({scope / "to_k", scope / "to_v"}, context, channels, /*bias=*/false);
    return;
  }
  for (const WeightScope& part : {scope / "to_k", scope / "to_v"}) {
    const StackedLinear::Slice slice =
        options.context->Add(part.Get("weight", {channels, context}), {}, part.AddSite(context, channels));
    if (context_.width == 0) context_.begin = slice.begin;
    context_.width += slice.width;
  }
}

at::Tensor Attention::operator()(const at::Tensor& residual, const at::Tensor& x, const AttentionContext& context,
                                 const RowAdapters* adapters) const {
  if (to_qkv_.has_value()) return to_out_.AddTo(residual, SelfAttend((*to_qkv_)(x, adapters), heads_), adapters);
  const at::Tensor kv = to_kv_.has_value() ? (*to_kv_)(context.states.defined() ? context.states : x, adapters)
                                           : context_.Of(context.states);
  const at::Tensor mixed = ScaledDotProduct((*to_q_)(x, adapters), kv.narrow(2, 0, channels_),
                                            kv.narrow(2, channels_, channels_), heads_, /*causal=*/false, context.mask);
  return to_out_.AddTo(residual, mixed, adapters);
}

AttentionBlock::AttentionBlock(const WeightScope& scope, const Options& options)
    : heads_(options.heads),
      output_scale_(options.output_scale),
      to_qkv_(Linear::Fused({scope / "to_q", scope / "to_k", scope / "to_v"}, options.channels, options.channels,
                            /*bias=*/true)),
      to_out_(scope / "to_out" / 0, options.channels, options.channels) {
  if (options.groups > 0) group_norm_.emplace(scope / "group_norm", options.channels, options.groups, options.eps);
}

at::Tensor AttentionBlock::operator()(const at::Tensor& x, const RowAdapters* adapters) const {
  const at::Tensor normed = ToTokens(group_norm_.has_value() ? (*group_norm_)(x) : x);
  const at::Tensor sum = to_out_.AddTo(ToTokens(x), SelfAttend(to_qkv_(normed, adapters), heads_), adapters);
  return FromTokens(output_scale_ == 1.0 ? sum : sum.div(output_scale_), x.size(2), x.size(3));
}

}  // namespace stepcast::model
