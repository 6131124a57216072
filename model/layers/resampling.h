#pragma once
// Changes of spatial size inside a network.

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "model/layers/conv2d.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

SpatialSize SizeOf(const at::Tensor& x);  // of [B, C, H, W]

SpatialSize Doubled(SpatialSize size);
SpatialSize Halved(SpatialSize size);  // by a convolution of stride 2: rounds up

// Nearest-neighbour enlargement; twice the size unless `size` says another.
at::Tensor UpsampleNearest(const at::Tensor& x, std::optional<SpatialSize> size = std::nullopt);

// The mean of 2x2 cells.
at::Tensor AveragePool2x2(const at::Tensor& x);

// Nearest-neighbour enlargement, then a 3x3 convolution.
class Upsample2D {
 public:
  // `usual`: of most inputs, see ConvGeometry.
  Upsample2D(const WeightScope& scope, int64_t in, int64_t out, SpatialSize usual = {});
  at::Tensor operator()(const at::Tensor& x, std::optional<SpatialSize> size = std::nullopt,
                        const RowAdapters* adapters = nullptr) const;

 private:
  Conv2d conv_;
};

// A 3x3 convolution of stride 2. `padding` 0 adds one row and column of zeros at the bottom and right instead.
class Downsample2D {
 public:
  Downsample2D(const WeightScope& scope, int64_t in, int64_t out, int64_t padding, SpatialSize usual = {});
  at::Tensor operator()(const at::Tensor& x, const RowAdapters* adapters = nullptr) const;

 private:
  bool pad_bottom_right_;
  Conv2d conv_;
};

}  // namespace stepcast::model
