#pragma once
// Codecs that can stop between two tiles.

#include <ATen/core/Tensor.h>

#include "model/latent_codec.h"
#include "model/vae/tiling.h"

namespace stepcast::model {

// A codec whose DecodeTiled and EncodeTiled are the Finish of these. Must outlive what it begins.
class TiledCodec {
 public:
  virtual ~TiledCodec() = default;

  // latents [1, C, h, w] as for LatentCodec::Decode; the output is its picture.
  virtual TiledWork BeginDecode(const at::Tensor& latents) const = 0;

  // pictures as for LatentCodec::Encode. REQUIRES: the codec encodes.
  virtual TiledWork BeginEncode(const at::Tensor& pictures) const = 0;
  // What an encoder's output comes to once it is whole.
  virtual EncodedPictures Encoded(const at::Tensor& output) const = 0;
};

}  // namespace stepcast::model
