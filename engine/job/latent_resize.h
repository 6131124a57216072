#pragma once
// Latents of one size from latents of another.

#include <ATen/core/Tensor.h>

#include "sampling/recipe/recipe.h"

namespace stepcast::engine {

// latents [C, h, w] float32. Returns [C, height, width]; the same tensor where nothing is to be done. Throws what
// tensor code throws.
at::Tensor Resized(const at::Tensor& latents, sampling::LatentResize resize, int height, int width);

}  // namespace stepcast::engine
