#pragma once
// Bringing a picture to a size, in each of the ways that a request may ask for.

#include "codec/pixels/pixels.h"
#include "core/input_picture.h"

namespace stepcast {

// `pixels` brought to `width` x `height`, both >= 1, with ResizeLanczos. kExact is kStretch: whether the size fits is
// for the caller to say. kFit repeats the edges of what is resized around it.
// REQUIRES: `pixels` has at least one pixel.
Pixels Resize(const Pixels& pixels, int width, int height, ResizeMode mode);

}  // namespace stepcast
