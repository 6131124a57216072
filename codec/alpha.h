#pragma once
// From RGBA to RGB.

#include <cstdint>
#include <vector>

namespace stepcast {

// Composes R, G, B, A pixels (alpha not premultiplied) over white and leaves R, G, B, in the same vector.
void ComposeOverWhite(std::vector<uint8_t>* pixels);

}  // namespace stepcast
