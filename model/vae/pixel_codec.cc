#include "model/vae/pixel_codec.h"

namespace stepcast::model {

at::Tensor PixelCodec::Decode(const at::Tensor& latents) const {
  at::Tensor pixels = latents.to(at::kFloat);
  if (range_ == PixelRange::kZeroToOne) pixels = pixels.mul(2).sub_(1);
  return pixels.expand({-1, 3, -1, -1}).contiguous();
}

PreviewMatrix PixelPreviewMatrix(int64_t channels, PixelRange range) {
  const double gain = range == PixelRange::kZeroToOne ? 2 : 1;
  const double bias = range == PixelRange::kZeroToOne ? -1 : 0;
  PreviewMatrix matrix{.rows = {{gain, gain, gain}}, .bias = {bias, bias, bias}};
  if (channels == 3) matrix.rows = {{gain, 0, 0}, {0, gain, 0}, {0, 0, gain}};
  return matrix;
}

}  // namespace stepcast::model
