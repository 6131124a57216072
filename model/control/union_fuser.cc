#include "model/control/union_fuser.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "model/unet/condition_embedding.h"

namespace stepcast::model {
namespace {

constexpr double kLayerNormEps = 1e-5;

// Of the joined projections to queries, keys and values, those to values.
Linear ValueProjection(const WeightScope& scope, int64_t width) {
  return Linear(scope.Get("in_proj_weight", {3 * width, width}).narrow(0, 2 * width, width).contiguous(),
                scope.Get("in_proj_bias", {3 * width}).narrow(0, 2 * width, width).contiguous());
}

// [R, 1, ...] like `x`: `scale` of each row.
at::Tensor ScaledRows(const at::Tensor& x, const at::Tensor& scale) {
  std::vector<int64_t> sizes(static_cast<size_t>(x.dim()), 1);
  sizes.front() = x.size(0);
  return (x * scale.view(sizes)).to(x.scalar_type());
}

}  // namespace

UnionTransformerLayer::UnionTransformerLayer(const WeightScope& scope, int64_t width)
    : ln_1_(scope / "ln_1", width, kLayerNormEps),
      value_proj_(ValueProjection(scope / "attn", width)),
      out_proj_(scope / "attn" / "out_proj", width, width),
      ln_2_(scope / "ln_2", width, kLayerNormEps),
      c_fc_(scope / "mlp" / "c_fc", width, 4 * width),
      c_proj_(scope / "mlp" / "c_proj", 4 * width, width) {}

at::Tensor UnionTransformerLayer::operator()(const at::Tensor& tokens) const {
  const at::Tensor x = out_proj_.AddTo(tokens, value_proj_(ln_1_(tokens)));
  return c_proj_.AddTo(x, ActivateInPlace(c_fc_(ln_2_(x)), Activation::kQuickGelu));
}

UnionFuser::UnionFuser(WeightMap& weights, const ControlNetConfig& config)
    : config_(config.union_net),
      task_embedding_(weights.Root().Get("task_embedding", {config_.types, config_.width})),
      spatial_ch_projs_(weights.Root() / "spatial_ch_projs", config_.width, config_.width),
      control_type_proj_(TimeSinusoid(config.unet, config_.type_width), weights.device()),
      control_add_embedding_(weights.Root() / "control_add_embedding",
                             TimestepEmbeddingOptions{.in = config_.type_width * config_.types,
                                                      .out = config.unet.time_embedding_dim,
                                                      .activation = Activation::kSilu,
                                                      .post_activation = std::nullopt,
                                                      .condition_channels = 0}) {
  // The name is spelled so in the files.
  const WeightScope layers = weights.Root() / "transformer_layes";
  for (int64_t i = 0; i < config_.layers; ++i) layers_.emplace_back(layers / i, config_.width);
}

at::Tensor UnionFuser::EmbedTypes(const std::vector<ControlHint>& hints, c10::ScalarType dtype) const {
  const auto rows = static_cast<int64_t>(hints.front().types.size());
  std::vector<float> chosen(static_cast<size_t>(rows * config_.types), 0.0f);
  for (const ControlHint& hint : hints) {
    for (size_t row = 0; row < hint.types.size(); ++row) {
      chosen[row * static_cast<size_t>(config_.types) + static_cast<size_t>(hint.types[row])] = 1.0f;
    }
  }
  const at::Tensor flags = at::tensor(chosen, at::kFloat).to(task_embedding_.device());
  return control_add_embedding_(control_type_proj_(flags).view({rows, -1}).to(dtype));
}

at::Tensor UnionFuser::Fuse(const at::Tensor& state, const std::vector<ControlHint>& hints) const {
  const bool several = hints.size() > 1;
  at::Tensor fused = state;
  for (const ControlHint& hint : hints) {
    const at::Tensor types = at::tensor(hint.types, at::kLong).to(task_embedding_.device());
    at::Tensor token = at::mean(hint.embedding, {2, 3}) + at::index_select(task_embedding_, 0, types);
    at::Tensor embedding = hint.embedding;
    if (several) {
      token = ScaledRows(token, hint.scale);
      embedding = ScaledRows(embedding, hint.scale);
    }
    for (const UnionTransformerLayer& layer : layers_) token = layer(token);
    at::Tensor alpha = spatial_ch_projs_(token);
    if (several) alpha = ScaledRows(alpha, hint.scale);
    fused = fused + embedding + alpha.unsqueeze(-1).unsqueeze(-1);
  }
  return fused;
}

}  // namespace stepcast::model
