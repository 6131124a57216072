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
};

// Whether `weight` can be packed: a CPU tensor of a dtype that oneDNN computes in here.
bool CanPackConvolution(const at::Tensor& weight);

// The blocked layout fits one size only: others may be a hundred times slower, so callers keep to `geometry.usual`.
at::Tensor PackConvolution(const at::Tensor& weight, const ConvGeometry& geometry);

// x [B, in, H, W], channels last, of the usual size. REQUIRES: `packed` is from PackConvolution with this geometry.
at::Tensor RunPackedConvolution(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                                const ConvGeometry& geometry);

}  // namespace stepcast::model
