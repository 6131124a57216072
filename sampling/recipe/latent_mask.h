#pragma once
// A mask of pixels as shares of latent cells.

#include <cstdint>

#include "core/input_picture.h"
#include "sampling/recipe/row_set.h"

namespace stepcast::sampling {

enum class MaskSampling : uint8_t {
  kNearest,         // the upper left pixel of each cell, as diffusers
  kNearestRounded,  // the same, 128 and more being 1 and less 0: of denoisers that read a mask
  kBilinear,        // the mean of the pixels around each cell's middle, as ComfyUI: torch's interpolate without
                    // antialiasing, align_corners off
};

// [height, width] shares in 0 .. 1. REQUIRES: mask is not empty; height and width are at least 1.
SharedWeightMap LatentMask(const Mask& mask, int height, int width, MaskSampling sampling);

}  // namespace stepcast::sampling
