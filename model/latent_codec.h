#pragma once
// Between latents and pictures.

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

namespace stepcast::model {

// What an encoder makes of pictures, as it leaves it (scaling and shift are Scaled's). Two tensors [B, C, h, w]
// float32.
struct EncodedPictures {
  at::Tensor mean;
  at::Tensor deviation;  // of the posterior; undefined: the encoder has no posterior, `mean` is its code

  // Of a posterior: mean + deviation * noise; `noise` is not read where there is none.
  at::Tensor Sample(const at::Tensor& noise) const {
    return deviation.defined() ? mean.addcmul(deviation, noise) : mean;
  }
};

// Immutable; const methods only, no threads.
class LatentCodec {
 public:
  virtual ~LatentCodec() = default;

  // latents [B, C, h, w] float32 as the sampler left them (scaling and shift are undone inside).
  // Returns pictures [B, 3, h * f, w * f] float32, nominally in [-1, 1], not clamped.
  virtual at::Tensor Decode(const at::Tensor& latents) const = 0;

  // The same tile by tile (model/vae/tiling.h), where ModelInfo.decoding has a tile: less memory, other pixels.
  virtual at::Tensor DecodeTiled(const at::Tensor& latents) const { return Decode(latents); }

  // Whether pictures can become latents: the encoder's weights are there.
  virtual bool encodes() const { return false; }
  // pictures [B, 3, h * f, w * f] float32 in [-1, 1]. REQUIRES: encodes().
  virtual EncodedPictures Encode(const at::Tensor& /*pictures*/) const { return {}; }
  // The same tile by tile, where ModelInfo.decoding has a tile.
  virtual EncodedPictures EncodeTiled(const at::Tensor& pictures) const { return Encode(pictures); }
  // Latents as the sampler takes them, of a code as Encode leaves it: what Decode undoes.
  virtual at::Tensor Scaled(const at::Tensor& code) const { return code; }

  // What it computes in.
  virtual c10::ScalarType dtype() const { return at::kFloat; }
};

}  // namespace stepcast::model
