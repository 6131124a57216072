#include "model/layers/resampling.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/upsample_nearest2d.h>

namespace stepcast::model {

SpatialSize SizeOf(const at::Tensor& x) { return {x.size(2), x.size(3)}; }

SpatialSize Doubled(SpatialSize size) { return {2 * size.height, 2 * size.width}; }

SpatialSize Halved(SpatialSize size) { return {(size.height + 1) / 2, (size.width + 1) / 2}; }

at::Tensor UpsampleNearest(const at::Tensor& x, std::optional<SpatialSize> size) {
  const SpatialSize target = size.value_or(SpatialSize{2 * x.size(2), 2 * x.size(3)});
  return at::upsample_nearest2d(x, {target.height, target.width});
}

at::Tensor AveragePool2x2(const at::Tensor& x) { return at::avg_pool2d(x, 2, 2); }

Upsample2D::Upsample2D(const WeightScope& scope, int64_t in, int64_t out, SpatialSize usual)
    : conv_(scope / "conv", in, out, {.kernel = 3, .stride = 1, .padding = 1, .usual = Doubled(usual)}) {}

at::Tensor Upsample2D::operator()(const at::Tensor& x, std::optional<SpatialSize> size,
                                  const RowAdapters* adapters) const {
  return conv_(UpsampleNearest(x, size), adapters);
}

Downsample2D::Downsample2D(const WeightScope& scope, int64_t in, int64_t out, int64_t padding, SpatialSize usual)
    : pad_bottom_right_(padding == 0),
      // With its own padding the input is not of the usual size; such models are rare enough to stay unpacked.
      conv_(scope / "conv", in, out,
            {.kernel = 3, .stride = 2, .padding = padding, .usual = padding == 0 ? SpatialSize{} : usual}) {}

at::Tensor Downsample2D::operator()(const at::Tensor& x, const RowAdapters* adapters) const {
  return conv_(pad_bottom_right_ ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x, adapters);
}

}  // namespace stepcast::model
