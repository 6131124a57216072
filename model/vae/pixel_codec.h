#pragma once
// The codec of models that paint in pixels: there is nothing to decode.

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "model/latent_codec.h"
#include "model/preview/preview_matrix.h"

namespace stepcast::model {

// Which numbers are black and white to a model that paints in pixels.
enum class PixelRange { kMinusOneToOne, kZeroToOne };

// Immutable; const methods only, no threads.
class PixelCodec final : public LatentCodec {
 public:
  // REQUIRES: channels is 1 or 3.
  PixelCodec(int64_t channels, PixelRange range) : channels_(channels), range_(range) {}

  // latents [B, 1 or 3, h, w]: grey or RGB.
  at::Tensor Decode(const at::Tensor& latents) const override;
  bool encodes() const override { return true; }
  // Of grey models the luma (ITU-R 601).
  EncodedPictures Encode(const at::Tensor& pictures) const override;

 private:
  int64_t channels_;
  PixelRange range_;
};

// Previews are the pixels themselves. REQUIRES: channels is 1 or 3.
PreviewMatrix PixelPreviewMatrix(int64_t channels, PixelRange range);

}  // namespace stepcast::model
