#pragma once
// Normalisation layers. Statistics are taken in float32 whatever the dtype.

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "model/layers/activations.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Over channel groups and space, per row: rows never see each other.
class GroupNorm {
 public:
  // Reads `weight` and `bias` [channels]. REQUIRES: channels % groups == 0 (configs are checked for it).
  GroupNorm(const WeightScope& scope, int64_t channels, int64_t groups, double eps);

  // norm(x + row_bias) of x [B, channels, H, W]; `row_bias` [B, channels] is the same for all cells of a row, or
  // undefined. Always a fresh tensor, in the layout of x.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& row_bias = {}) const;
  // activation(norm(x + row_bias)).
  at::Tensor operator()(const at::Tensor& x, Activation activation, const at::Tensor& row_bias = {}) const;

 private:
  int64_t groups_;
  double eps_;
  at::Tensor weight_;
  at::Tensor bias_;
  at::Tensor weight_float_;  // float32, for the CPU kernel; undefined elsewhere
  at::Tensor bias_float_;
};

// Over the last dimension.
class LayerNorm {
 public:
  // Reads `weight` and `bias` [width].
  LayerNorm(const WeightScope& scope, int64_t width, double eps);

  at::Tensor operator()(const at::Tensor& x) const;  // [..., width]

 private:
  int64_t width_;
  double eps_;
  at::Tensor weight_;
  at::Tensor bias_;
};

}  // namespace stepcast::model
