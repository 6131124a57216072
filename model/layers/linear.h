#pragma once
// Affine maps of the last dimension.

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/lora/row_adapters.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// y = x Wᵀ + b over the last dimension.
class Linear {
 public:
  // Reads `weight` [out, in] and, with `bias`, `bias` [out].
  Linear(const WeightScope& scope, int64_t in, int64_t out, bool bias = true);
  // From tensors at hand; `bias` may be undefined. `site`: what LoRAs know it by (WeightScope::AddSite); -1: they do
  // not.
  Linear(at::Tensor weight, at::Tensor bias, int site = -1);

  // Several maps of the same input as one: the outputs follow each other in the order of `scopes`.
  static Linear Fused(const std::vector<WeightScope>& scopes, int64_t in, int64_t out_each, bool bias);

  // [..., in] -> [..., out]. `adapters` null: no row has any.
  at::Tensor operator()(const at::Tensor& x, const RowAdapters* adapters = nullptr) const;
  // x Wᵀ + b + residual. `residual` is [..., out].
  at::Tensor AddTo(const at::Tensor& residual, const at::Tensor& x, const RowAdapters* adapters = nullptr) const;

 private:
  std::vector<SiteColumns> parts_;  // of the outputs
  bool packed_ = false;
  at::Tensor weight_;  // [out, in], or packed
  at::Tensor bias_;
};

// Maps of one shared input that belong to many layers, run as one product. Layers add theirs while the model is
// built and keep the slice; the model runs the product once per forward and hands the result down.
class StackedLinear {
 public:
  // Columns of the product that belong to one layer.
  struct Slice {
    int64_t begin = 0;
    int64_t width = 0;

    at::Tensor Of(const at::Tensor& product) const { return product.narrow(-1, begin, width); }
  };

  // `weight` [width, in]; `bias` [width], or undefined in all of them. `site` as of a Linear. REQUIRES: Seal was not
  // called.
  Slice Add(at::Tensor weight, at::Tensor bias, int site = -1);
  // Joins what was added into one Linear.
  void Seal();

  bool empty() const { return width_ == 0; }
  int64_t width() const { return width_; }
  // [..., in] -> [..., width()]. REQUIRES: sealed, not empty.
  at::Tensor operator()(const at::Tensor& x, const RowAdapters* adapters = nullptr) const;

 private:
  int64_t width_ = 0;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> biases_;
  std::vector<SiteColumns> parts_;
  std::vector<Linear> sealed_;  // one once sealed
};

}  // namespace stepcast::model
