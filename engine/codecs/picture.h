#pragma once
// From float pictures on the device to 8-bit pictures on the host.

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/image.h"

namespace stepcast::engine {

// pictures [B, 3, H, W] float, nominally in [-1, 1]. Returns B pictures: x / 2 + 0.5 clamped to [0, 1], times 255,
// rounded half to even, as diffusers' image processor does. A picture with any value that is not finite is null.
// Waits for the device. Throws what tensor code throws.
std::vector<SharedImage> ToImages(const at::Tensor& pictures);

}  // namespace stepcast::engine
