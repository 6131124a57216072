#include "core/decoding.h"

#include <algorithm>
#include <cmath>

namespace stepcast {
namespace {

// Of a finished picture: float colours and a copy while they are rounded, 8-bit colours twice, and a mask.
constexpr double kPictureBytesPerPixel = 36.0;
// Of a picture that is put together from tiles: its float colours, and the edges of a row of tiles.
constexpr double kTiledBytesPerPixel = 12.0;
constexpr double kTileEdges = 0.5;  // of a tile's colours, along the picture

constexpr std::string_view kNames[] = {"auto", "on", "off"};

}  // namespace

std::string_view VaeTilingName(VaeTiling tiling) { return kNames[static_cast<size_t>(tiling)]; }

std::optional<VaeTiling> VaeTilingFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return static_cast<VaeTiling>(i);
  }
  return std::nullopt;
}

bool CanTile(const Decoding& decoding, int width, int height) {
  return decoding.tile_side > 0 && std::max(width, height) > decoding.tile_side;
}

bool TilesByDefault(const Decoding& decoding, int width, int height) {
  if (!CanTile(decoding, width, height) || decoding.tiling == VaeTiling::kOff) return false;
  return decoding.tiling == VaeTiling::kOn || int64_t{width} * height > decoding.tiling_pixels;
}

int64_t DecodeBytes(const Decoding& decoding, int width, int height, bool tiled) {
  if (decoding.bytes_per_pixel <= 0.0) return 0;
  const double area = static_cast<double>(width) * height;
  double peak = decoding.bytes_per_pixel * area;
  if (tiled) {
    const double tile = static_cast<double>(decoding.tile_side);
    const double at_once = std::min<double>(tile, width) * std::min<double>(tile, height);
    peak = decoding.bytes_per_pixel * at_once + kTiledBytesPerPixel * (area + kTileEdges * tile * width);
  }
  return static_cast<int64_t>(std::ceil(std::max(peak, kPictureBytesPerPixel * area)));
}

}  // namespace stepcast
