#include "model/layers/normalization.h"

#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/layer_norm.h>

#include "model/layers/group_norm_cpu.h"

namespace stepcast::model {
namespace {

bool HasKernel(c10::ScalarType dtype) { return dtype == at::kFloat || dtype == at::kBFloat16; }

template <typename T>
at::Tensor RunKernel(const GroupNormSizes& sizes, const at::Tensor& x, const at::Tensor& row_bias,
                     const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor y = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  RowBias<T> added;
  if (row_bias.defined()) added = {row_bias.const_data_ptr<T>(), row_bias.stride(0)};
  GroupNormChannelsLast<T>(sizes, x.const_data_ptr<T>(), added, weight.const_data_ptr<float>(),
                           bias.const_data_ptr<float>(), y.mutable_data_ptr<T>());
  return y;
}

}  // namespace

GroupNorm::GroupNorm(const WeightScope& scope, int64_t channels, int64_t groups, double eps)
    : groups_(groups), eps_(eps), weight_(scope.Get("weight", {channels})), bias_(scope.Get("bias", {channels})) {
  if (weight_.is_cpu() && bias_.is_cpu() && HasKernel(weight_.scalar_type())) {
    weight_float_ = weight_.to(at::kFloat);
    bias_float_ = bias_.to(at::kFloat);
  }
}

at::Tensor GroupNorm::operator()(const at::Tensor& x, const at::Tensor& row_bias) const {
  const bool in_rows = !row_bias.defined() || row_bias.stride(1) == 1;
  // Our kernel has no gradient; only a classifier wants one.
  if (weight_float_.defined() && !x.requires_grad() && in_rows && x.scalar_type() == weight_.scalar_type() &&
      x.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    const GroupNormSizes sizes{x.size(0), x.size(2) * x.size(3), x.size(1), groups_, eps_};
    return x.scalar_type() == at::kFloat ? RunKernel<float>(sizes, x, row_bias, weight_float_, bias_float_)
                                         : RunKernel<c10::BFloat16>(sizes, x, row_bias, weight_float_, bias_float_);
  }
  if (!row_bias.defined()) return at::group_norm(x, groups_, weight_, bias_, eps_);
  return at::group_norm(x.add(row_bias.unsqueeze(-1).unsqueeze(-1)), groups_, weight_, bias_, eps_);
}

at::Tensor GroupNorm::operator()(const at::Tensor& x, Activation activation, const at::Tensor& row_bias) const {
  return ActivateInPlace((*this)(x, row_bias), activation);
}

LayerNorm::LayerNorm(const WeightScope& scope, int64_t width, double eps)
    : width_(width), eps_(eps), weight_(scope.Get("weight", {width})), bias_(scope.Get("bias", {width})) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {width_}, weight_, bias_, eps_);
}

}  // namespace stepcast::model
