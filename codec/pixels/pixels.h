#pragma once
// Pictures of any number of channels, for what is done to colours and masks alike.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace stepcast {

// 8-bit pixels: rows top to bottom, pixels left to right, a pixel's channels side by side, no padding.
struct Pixels {
  int width = 0;     // pixels
  int height = 0;    // pixels
  int channels = 3;  // 1..4
  std::vector<uint8_t> values = {};

  size_t row_bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
  const uint8_t* row(int y) const { return values.data() + static_cast<size_t>(y) * row_bytes(); }
  uint8_t* row(int y) { return values.data() + static_cast<size_t>(y) * row_bytes(); }
};

// A part of a picture, in its pixels.
struct Region {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;

  friend bool operator==(const Region&, const Region&) = default;
};

// All zero.
inline Pixels MakePixels(int width, int height, int channels) {
  Pixels pixels = {.width = width, .height = height, .channels = channels, .values = {}};
  pixels.values.resize(pixels.row_bytes() * static_cast<size_t>(height));
  return pixels;
}

// REQUIRES: `region` lies within `pixels`.
inline Pixels Crop(const Pixels& pixels, const Region& region) {
  Pixels part = MakePixels(region.width, region.height, pixels.channels);
  const size_t skip = static_cast<size_t>(region.left) * static_cast<size_t>(pixels.channels);
  for (int y = 0; y < region.height; ++y) {
    std::memcpy(part.row(y), pixels.row(region.top + y) + skip, part.row_bytes());
  }
  return part;
}

}  // namespace stepcast
