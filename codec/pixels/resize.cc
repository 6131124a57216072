#include "codec/pixels/resize.h"

#include <algorithm>
#include <cstring>

#include "codec/pixels/lanczos.h"

namespace stepcast {
namespace {

// `side` x `numerator` / `denominator`, rounded down as other programs do, but never to nothing.
int Scaled(int side, int numerator, int denominator) {
  return static_cast<int>(std::max<int64_t>(1, int64_t{side} * numerator / denominator));
}

// The size that keeps the aspect ratio of `pixels` and just fits into, or just covers, the wanted one.
Region Inscribed(const Pixels& pixels, int width, int height, bool cover) {
  const bool is_wider = int64_t{width} * pixels.height > int64_t{pixels.width} * height;  // than the picture
  Region region;
  const bool take_width = cover == is_wider;
  region.width = take_width ? width : Scaled(pixels.width, height, pixels.height);
  region.height = take_width ? Scaled(pixels.height, width, pixels.width) : height;
  region.left = width / 2 - region.width / 2;
  region.top = height / 2 - region.height / 2;
  return region;
}

// `pixels` at `left`, `top` of a picture of the given size; around it its edges.
Pixels Surround(const Pixels& pixels, int width, int height, const Region& place) {
  Pixels surrounded = MakePixels(width, height, pixels.channels);
  const auto channels = static_cast<size_t>(pixels.channels);
  for (int y = 0; y < height; ++y) {
    const uint8_t* from = pixels.row(std::clamp(y - place.top, 0, pixels.height - 1));
    uint8_t* to = surrounded.row(y);
    for (int x = 0; x < width; ++x, to += channels) {
      std::memcpy(to, from + static_cast<size_t>(std::clamp(x - place.left, 0, pixels.width - 1)) * channels, channels);
    }
  }
  return surrounded;
}

}  // namespace

Pixels Resize(const Pixels& pixels, int width, int height, ResizeMode mode) {
  if (mode == ResizeMode::kExact || mode == ResizeMode::kStretch) return ResizeLanczos(pixels, width, height);
  const Region place = Inscribed(pixels, width, height, mode == ResizeMode::kCover);
  if (mode == ResizeMode::kCover) {
    return ResizeLanczosPart(pixels, place.width, place.height, {-place.left, -place.top, width, height});
  }
  return Surround(ResizeLanczos(pixels, place.width, place.height), width, height, place);
}

}  // namespace stepcast
