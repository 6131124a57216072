#pragma once
// Convolutions whose weights lie in oneDNN's own blocked layout. Without it, oneDNN brings them there in every call,
// which at few rows costs as much as the arithmetic.

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace stepcast::model {

// A height and width, in cells.
struct SpatialSize {
  int64_t height = 0;
  int64_t width = 0;

  bool operator==(const SpatialSize&) const = default;
};

struct ConvGeometry {
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 1;
  SpatialSize usual = {};  // of most inputs; the weights are packed for it. {0, 0}: not known, not packed
  bool bias = true;
};

// Whether `weight` can be packed: a CPU tensor of a dtype that oneDNN computes in here.
bool CanPackConvolution(const at::Tensor& weight);

// The layout is that for inputs of `geometry.usual`; other sizes may want another, and be a hundred times slower in
// this one (model/layers/convolution_layouts.h).
at::Tensor PackConvolution(const at::Tensor& weight, const ConvGeometry& geometry);

// Bytes that a packed weight takes.
int64_t PackedBytes(const at::Tensor& packed);

// Whether two packings of the same weight have the same layout, told by their bytes. False where this LibTorch cannot
// say.
bool SamePackedBytes(const at::Tensor& a, const at::Tensor& b);

// x [B, in, H, W], channels last, of a size that `packed` is laid out for. `bias` may be undefined. REQUIRES: `packed`
// is from PackConvolution.
at::Tensor RunPackedConvolution(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                                const ConvGeometry& geometry);

}  // namespace stepcast::model
