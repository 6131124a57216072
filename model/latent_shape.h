#pragma once
// The size that a denoiser was trained at.

#include <cstdint>

namespace stepcast::model {

// What every family says of its latents.
struct LatentShape {
  int64_t channels = 4;
  int64_t height = 0;    // cells that the denoiser was trained at
  int64_t width = 0;     // cells
  int64_t factor = 8;    // pixels per cell
  int64_t halvings = 3;  // times that the denoiser halves height and width
};

}  // namespace stepcast::model
