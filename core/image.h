#pragma once
// Decoded pictures, as they travel between the engine and the codecs.

#include <cstdint>
#include <memory>
#include <vector>

namespace stepcast {

// An 8-bit RGB picture: rows top to bottom, pixels left to right, bytes R, G, B, no padding.
struct Image {
  int width = 0;                // pixels
  int height = 0;               // pixels
  std::vector<uint8_t> pixels;  // width * height * 3 bytes
};

// Pictures are made once and shared by every consumer (stream, codec pool).
using SharedImage = std::shared_ptr<const Image>;

}  // namespace stepcast
