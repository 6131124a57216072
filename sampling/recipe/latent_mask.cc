#include "sampling/recipe/latent_mask.h"

#include <algorithm>
#include <memory>

namespace stepcast::sampling {
namespace {

constexpr int kHalf = 128;  // of 255: where diffusers' threshold of 0.5 lies

// Where torch's interpolate looks along one axis: two pixels and the second one's share.
struct Place {
  size_t low = 0;
  size_t high = 0;
  double share = 0.0;
};

Place PlaceOf(int cell, int cells, int pixels) {
  const double scale = static_cast<double>(pixels) / cells;
  const double middle = std::max(0.0, scale * (cell + 0.5) - 0.5);
  const int low = std::min(static_cast<int>(middle), pixels - 1);
  return {static_cast<size_t>(low), static_cast<size_t>(std::min(low + 1, pixels - 1)), middle - low};
}

size_t NearestOf(int cell, int cells, int pixels) { return static_cast<size_t>(int64_t{cell} * pixels / cells); }

}  // namespace

SharedWeightMap LatentMask(const Mask& mask, int height, int width, MaskSampling sampling) {
  auto map = std::make_shared<WeightMap>(WeightMap{.height = height, .width = width, .values = {}});
  map->values.reserve(static_cast<size_t>(height) * static_cast<size_t>(width));
  const auto pixel = [&mask](size_t y, size_t x) {
    return static_cast<double>(mask.values[y * static_cast<size_t>(mask.width) + x]);
  };
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      double value = pixel(NearestOf(y, height, mask.height), NearestOf(x, width, mask.width));
      if (sampling == MaskSampling::kNearestRounded) value = value >= kHalf ? 255.0 : 0.0;
      if (sampling == MaskSampling::kBilinear) {
        const Place down = PlaceOf(y, height, mask.height);
        const Place across = PlaceOf(x, width, mask.width);
        const auto row = [&](size_t at) {
          return pixel(at, across.low) * (1.0 - across.share) + pixel(at, across.high) * across.share;
        };
        value = row(down.low) * (1.0 - down.share) + row(down.high) * down.share;
      }
      map->values.push_back(static_cast<float>(value / 255.0));
    }
  }
  return map;
}

}  // namespace stepcast::sampling
