#pragma once
// From pixels with alpha to pixels without.

#include <cstdint>
#include <vector>

#include "codec/pixels/pixels.h"

namespace stepcast {

// Composes R, G, B, A pixels (alpha not premultiplied) over white and leaves R, G, B, in the same vector.
void ComposeOverWhite(std::vector<uint8_t>* pixels);

// What DecodeMask makes of pixels with 3 or 4 channels: one channel, in the same vector.
void ReduceToMask(Pixels* pixels);

}  // namespace stepcast
