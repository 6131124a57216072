#include "model/vae/pixel_codec.h"

namespace stepcast::model {
namespace {

constexpr double kRed = 0.299;
constexpr double kGreen = 0.587;
constexpr double kBlue = 0.114;

}  // namespace

at::Tensor PixelCodec::Decode(const at::Tensor& latents) const {
  at::Tensor pixels = latents.to(at::kFloat);
  if (range_ == PixelRange::kZeroToOne) pixels = pixels.mul(2).sub_(1);
  return pixels.expand({-1, 3, -1, -1}).contiguous();
}

EncodedPictures PixelCodec::Encode(const at::Tensor& pictures) const {
  const auto colour = [&](int64_t channel) { return pictures.narrow(1, channel, 1); };
  at::Tensor pixels =
      channels_ == 3 ? pictures.clone() : colour(0).mul(kRed).add_(colour(1), kGreen).add_(colour(2), kBlue);
  if (range_ == PixelRange::kZeroToOne) pixels.add_(1).div_(2);
  return {.mean = pixels, .deviation = {}};
}

PreviewMatrix PixelPreviewMatrix(int64_t channels, PixelRange range) {
  const double gain = range == PixelRange::kZeroToOne ? 2 : 1;
  const double bias = range == PixelRange::kZeroToOne ? -1 : 0;
  PreviewMatrix matrix{.rows = {{gain, gain, gain}}, .bias = {bias, bias, bias}};
  if (channels == 3) matrix.rows = {{gain, 0, 0}, {0, gain, 0}, {0, 0, gain}};
  return matrix;
}

}  // namespace stepcast::model
