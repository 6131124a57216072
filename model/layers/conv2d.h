#pragma once
// Two-dimensional convolution.

#include <cstdint>

#include <memory>

#include <ATen/core/Tensor.h>

#include "model/layers/convolution_layouts.h"
#include "model/layers/packed_convolution.h"
#include "model/lora/row_adapters.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// x [B, in, H, W] -> [B, out, H', W'], channels last in memory.
class Conv2d {
 public:
  // Reads `weight` [out, in, kernel, kernel] and, unless the geometry says otherwise, `bias` [out].
  Conv2d(const WeightScope& scope, int64_t in, int64_t out, ConvGeometry geometry = {});

  // `adapters` null: no row has any.
  at::Tensor operator()(const at::Tensor& x, const RowAdapters* adapters = nullptr) const;
  // The convolution plus `residual` [B, out, H', W'].
  at::Tensor AddTo(const at::Tensor& residual, const at::Tensor& x, const RowAdapters* adapters = nullptr) const;

 private:
  at::Tensor Convolve(const at::Tensor& x) const;

  int site_;
  ConvGeometry geometry_;
  bool packed_ = false;
  at::Tensor weight_;                            // dense and channels last, or packed for geometry_.usual
  std::shared_ptr<ConvolutionLayouts> layouts_;  // of other sizes; null unless packed
  at::Tensor bias_;
};

}  // namespace stepcast::model
