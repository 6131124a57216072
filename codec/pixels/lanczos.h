#pragma once
// Resizing with the Lanczos filter of three lobes.

#include "codec/pixels/pixels.h"

namespace stepcast {

// Resizes to `width` x `height`, both >= 1: Pillow's `resize(size, LANCZOS)` to the bit. The filter is wider where it
// shrinks, so that nothing aliases; rows, then columns, or the other way round where the height shrinks by more than
// twice what the width does; each pass is rounded to 8 bits; weights have 22. REQUIRES: `pixels` has at least one
// pixel.
Pixels ResizeLanczos(const Pixels& pixels, int width, int height);

// The part `region` of ResizeLanczos(pixels, width, height), without what the rest would take.
Pixels ResizeLanczosPart(const Pixels& pixels, int width, int height, const Region& region);

}  // namespace stepcast
