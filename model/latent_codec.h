#pragma once
// Between latents and pictures.

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

namespace stepcast::model {

// Immutable; const methods only, no threads.
class LatentCodec {
 public:
  virtual ~LatentCodec() = default;

  // latents [B, C, h, w] float32 as the sampler left them (scaling and shift are undone inside).
  // Returns pictures [B, 3, h * f, w * f] float32, nominally in [-1, 1], not clamped.
  virtual at::Tensor Decode(const at::Tensor& latents) const = 0;

  // The same tile by tile (model/vae/tiling.h), where ModelInfo.decoding has a tile: less memory, other pixels.
  virtual at::Tensor DecodeTiled(const at::Tensor& latents) const { return Decode(latents); }

  // What it computes in.
  virtual c10::ScalarType dtype() const { return at::kFloat; }
};

}  // namespace stepcast::model
