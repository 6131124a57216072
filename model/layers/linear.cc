#include "model/layers/linear.h"

#include <utility>

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>

#include "model/layers/packed_linear.h"

namespace stepcast::model {
namespace {

// With several threads a BLAS cuts few rows into strips of four, and in a strip that is not full rows get other last
// bits than elsewhere. Strips that are always full cost 9 microseconds (Zen 4) and make a row's bits independent of its
// place.
constexpr int64_t kStrip = 4;
constexpr int64_t kFewRows = 64;

at::Tensor RunPlainLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t in = x.size(-1);
  const int64_t rows = in > 0 ? x.numel() / in : 0;
  if (!x.is_cpu() || rows == 0 || rows > kFewRows || rows % kStrip == 0) return at::linear(x, weight, bias);
  const at::Tensor strips = at::constant_pad_nd(x.reshape({rows, in}), {0, 0, 0, kStrip - rows % kStrip});
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return at::linear(strips, weight, bias).narrow(0, 0, rows).view(shape);
}

}  // namespace

Linear::Linear(at::Tensor weight, at::Tensor bias, int site)
    : parts_(site < 0 ? std::vector<SiteColumns>() : std::vector<SiteColumns>{{site, 0, weight.size(0)}}),
      packed_(ShouldPackLinear(weight)),
      weight_(packed_ ? PackLinear(weight) : std::move(weight)),
      bias_(std::move(bias)) {}

Linear::Linear(const WeightScope& scope, int64_t in, int64_t out, bool bias)
    : Linear(scope.Get("weight", {out, in}), bias ? scope.Get("bias", {out}) : at::Tensor(), scope.AddSite(in, out)) {}

Linear Linear::Fused(const std::vector<WeightScope>& scopes, int64_t in, int64_t out_each, bool bias) {
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> biases;
  std::vector<SiteColumns> parts;
  for (const WeightScope& scope : scopes) {
    weights.push_back(scope.Get("weight", {out_each, in}));
    if (bias) biases.push_back(scope.Get("bias", {out_each}));
    parts.push_back({scope.AddSite(in, out_each), static_cast<int64_t>(parts.size()) * out_each, out_each});
  }
  Linear fused(CatWeights(std::move(weights)), bias ? CatWeights(std::move(biases)) : at::Tensor());
  fused.parts_ = std::move(parts);
  return fused;
}

at::Tensor Linear::operator()(const at::Tensor& x, const RowAdapters* adapters) const {
  at::Tensor y = packed_ ? RunPackedLinear(x, weight_, bias_) : RunPlainLinear(x, weight_, bias_);
  if (adapters != nullptr) adapters->AddTo(parts_, x, y);
  return y;
}

at::Tensor Linear::AddTo(const at::Tensor& residual, const at::Tensor& x, const RowAdapters* adapters) const {
  return (*this)(x, adapters).add_(residual);
}

StackedLinear::Slice StackedLinear::Add(at::Tensor weight, at::Tensor bias, int site) {
  const Slice slice{width_, weight.size(0)};
  if (site >= 0) parts_.push_back({site, slice.begin, slice.width});
  width_ += slice.width;
  weights_.push_back(std::move(weight));
  if (bias.defined()) biases_.push_back(std::move(bias));
  return slice;
}

void StackedLinear::Seal() {
  if (empty()) return;
  at::Tensor bias = biases_.empty() ? at::Tensor() : CatWeights(std::exchange(biases_, {}));
  sealed_.emplace_back(CatWeights(std::exchange(weights_, {})), std::move(bias));
}

at::Tensor StackedLinear::operator()(const at::Tensor& x, const RowAdapters* adapters) const {
  at::Tensor y = sealed_.front()(x);
  if (adapters != nullptr) adapters->AddTo(parts_, x, y);
  return y;
}

}  // namespace stepcast::model
