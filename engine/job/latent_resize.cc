#include "engine/job/latent_resize.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/_upsample_nearest_exact2d.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <array>
#include <cstdint>

namespace stepcast::engine {

at::Tensor Resized(const at::Tensor& latents, sampling::LatentResize resize, int height, int width) {
  using sampling::LatentResize;
  const at::Tensor batch = latents.unsqueeze(0);
  const std::array<int64_t, 2> size = {height, width};
  constexpr bool kAlignCorners = false;
  switch (resize) {
    case LatentResize::kNone:
      break;
    case LatentResize::kNearest:
      return at::upsample_nearest2d(batch, size).squeeze(0);
    case LatentResize::kNearestExact:
      return at::_upsample_nearest_exact2d(batch, size).squeeze(0);
    case LatentResize::kBilinear:
      return at::upsample_bilinear2d(batch, size, kAlignCorners).squeeze(0);
    case LatentResize::kBilinearAntialias:
      return at::_upsample_bilinear2d_aa(batch, size, kAlignCorners).squeeze(0);
    case LatentResize::kBicubic:
      return at::upsample_bicubic2d(batch, size, kAlignCorners).squeeze(0);
    case LatentResize::kBicubicAntialias:
      return at::_upsample_bicubic2d_aa(batch, size, kAlignCorners).squeeze(0);
  }
  return latents;
}

}  // namespace stepcast::engine
