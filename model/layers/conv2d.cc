#include "model/layers/conv2d.h"

#include <ATen/ops/conv2d.h>

namespace stepcast::model {

Conv2d::Conv2d(const WeightScope& scope, int64_t in, int64_t out, ConvGeometry geometry)
    : site_(scope.AddSite(in, out, geometry.kernel)),
      geometry_(geometry),
      weight_(scope.Get("weight", {out, in, geometry.kernel, geometry.kernel})),
      bias_(geometry.bias ? scope.Get("bias", {out}) : at::Tensor()) {
  packed_ = geometry.usual.height > 0 && geometry.usual.width > 0 && CanPackConvolution(weight_);
  weight_ = packed_ ? PackConvolution(weight_, geometry) : weight_.contiguous(at::MemoryFormat::ChannelsLast);
  if (!packed_) return;
  layouts_ = scope.layouts();
  layouts_->Register(weight_);
}

at::Tensor Conv2d::Convolve(const at::Tensor& x) const {
  if (!packed_) return at::conv2d(x, weight_, bias_, geometry_.stride, geometry_.padding);
  const SpatialSize size = {x.size(2), x.size(3)};
  const at::Tensor input = x.contiguous(at::MemoryFormat::ChannelsLast);
  if (size == geometry_.usual) return RunPackedConvolution(input, weight_, bias_, geometry_);
  return RunPackedConvolution(input, layouts_->For(weight_, geometry_, size), bias_, geometry_);
}

at::Tensor Conv2d::operator()(const at::Tensor& x, const RowAdapters* adapters) const {
  if (adapters == nullptr || !adapters->Changes(site_)) return Convolve(x);
  const at::Tensor y = Convolve(x).contiguous(at::MemoryFormat::ChannelsLast);
  adapters->AddTo(site_, geometry_, x, y);
  return y;
}

at::Tensor Conv2d::AddTo(const at::Tensor& residual, const at::Tensor& x, const RowAdapters* adapters) const {
  return (*this)(x, adapters).add_(residual);
}

}  // namespace stepcast::model
