#pragma once
// Cheap pictures of unfinished latents.

#include <ATen/core/Tensor.h>

namespace stepcast::model {

// Immutable; const methods only, no threads.
class PreviewDecoder {
 public:
  virtual ~PreviewDecoder() = default;

  // x0 [B, C, h, w] float32. Returns RGB [B, 3, h * s, w * s] float32, s: Decoding::preview_scale, nominally in [-1,
  // 1].
  virtual at::Tensor Decode(const at::Tensor& x0) const = 0;

  // The same for a picture that is decoded in tiles: with as little memory.
  virtual at::Tensor DecodeTiled(const at::Tensor& x0) const { return Decode(x0); }
};

}  // namespace stepcast::model
