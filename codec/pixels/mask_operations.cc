#include "codec/pixels/mask_operations.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "codec/pixels/resize.h"

namespace stepcast {
namespace {

// Half of a symmetric kernel, from its middle on; sums to 1 as a whole.
std::vector<float> HalfKernel(double sigma) {
  const int radius = static_cast<int>(2.5 * sigma + 0.5);
  std::vector<double> weights;
  double sum = 0.0;
  for (int i = 0; i <= radius; ++i) {
    weights.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
    sum += (i == 0 ? 1.0 : 2.0) * weights.back();
  }
  std::vector<float> kernel;
  for (const double weight : weights) kernel.push_back(static_cast<float>(weight / sum));
  return kernel;
}

// The pixel that stands for `index` beyond the border: the border itself is not repeated.
int Mirrored(int index, int size) {
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  const int within = std::abs(index) % period;
  return std::min(within, period - within);
}

uint8_t Rounded(float value) { return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); }

void BlurRow(uint8_t* row, int width, const std::vector<float>& kernel, std::vector<float>* scratch) {
  const int radius = static_cast<int>(kernel.size()) - 1;
  scratch->resize(static_cast<size_t>(2 * width + 2 * radius));
  float* const padded = scratch->data() + width;
  float* const sums = scratch->data();
  for (int x = -radius; x < width + radius; ++x) padded[x + radius] = row[Mirrored(x, width)];
  const float* const middle = padded + radius;
  for (int x = 0; x < width; ++x) sums[x] = kernel[0] * middle[x];
  for (int k = 1; k <= radius; ++k) {
    const float weight = kernel[static_cast<size_t>(k)];
    for (int x = 0; x < width; ++x) sums[x] += weight * (middle[x - k] + middle[x + k]);
  }
  std::transform(sums, sums + width, row, Rounded);
}

void BlurColumns(const Pixels& from, Pixels& to, const std::vector<float>& kernel) {
  std::vector<float> sums(from.row_bytes());
  const size_t width = sums.size();
  for (int y = 0; y < from.height; ++y) {
    const uint8_t* const middle = from.row(y);
    for (size_t x = 0; x < width; ++x) sums[x] = kernel[0] * middle[x];
    for (size_t k = 1; k < kernel.size(); ++k) {
      const uint8_t* const above = from.row(Mirrored(y - static_cast<int>(k), from.height));
      const uint8_t* const below = from.row(Mirrored(y + static_cast<int>(k), from.height));
      for (size_t x = 0; x < width; ++x) sums[x] += kernel[k] * static_cast<float>(above[x] + below[x]);
    }
    std::transform(sums.begin(), sums.end(), to.row(y), Rounded);
  }
}

// Of an axis of the picture.
struct Interval {
  int begin = 0;
  int end = 0;
};

// Grows `interval` to `length` around its middle and keeps it within 0 .. `limit`.
Interval Widened(Interval interval, int length, int limit) {
  const int missing = std::max(length - (interval.end - interval.begin), 0);
  interval.begin -= missing / 2;
  interval.end += missing - missing / 2;
  if (interval.end >= limit) {
    interval.begin -= interval.end - limit;
    interval.end = limit;
  }
  if (interval.begin < 0) {
    interval.end -= interval.begin;
    interval.begin = 0;
  }
  interval.end = std::min(interval.end, limit);
  return interval;
}

}  // namespace

void InvertMask(Mask* mask) {
  for (uint8_t& value : mask->values) value = static_cast<uint8_t>(255 - value);
}

void BlurMask(Mask* mask, double sigma) {
  const std::vector<float> kernel = sigma > 0.0 ? HalfKernel(sigma) : std::vector<float>{1.0f};
  if (kernel.size() == 1) return;
  Pixels rows = {.width = mask->width, .height = mask->height, .channels = 1, .values = std::move(mask->values)};
  std::vector<float> scratch;
  for (int y = 0; y < rows.height; ++y) BlurRow(rows.row(y), rows.width, kernel, &scratch);
  Pixels columns = MakePixels(rows.width, rows.height, 1);
  BlurColumns(rows, columns, kernel);
  mask->values = std::move(columns.values);
}

std::optional<Region> BoundsOf(const Mask& mask) {
  int left = mask.width;
  int right = -1;
  int top = mask.height;
  int bottom = -1;
  const auto is_set = [](uint8_t value) { return value != 0; };
  for (int y = 0; y < mask.height; ++y) {
    const auto begin = mask.values.begin() + static_cast<std::ptrdiff_t>(y) * mask.width;
    const auto end = begin + mask.width;
    const auto first = std::find_if(begin, end, is_set);
    if (first == end) continue;
    const auto last = std::find_if(std::make_reverse_iterator(end), std::make_reverse_iterator(first), is_set);
    left = std::min(left, static_cast<int>(first - begin));
    right = std::max(right, static_cast<int>(last.base() - begin) - 1);
    top = std::min(top, y);
    bottom = y;
  }
  if (right < 0) return std::nullopt;
  return Region{left, top, right - left + 1, bottom - top + 1};
}

Region CropRegion(const Region& bounds, const CropWish& wish, int picture_width, int picture_height) {
  Interval x = {std::max(bounds.left - wish.padding, 0),
                std::min(bounds.left + bounds.width + wish.padding, picture_width)};
  Interval y = {std::max(bounds.top - wish.padding, 0),
                std::min(bounds.top + bounds.height + wish.padding, picture_height)};
  const int64_t width = x.end - x.begin;
  const int64_t height = y.end - y.begin;
  if (width * wish.height > height * wish.width) {
    y = Widened(y, static_cast<int>(width * wish.height / wish.width), picture_height);
  } else {
    x = Widened(x, static_cast<int>(height * wish.width / wish.height), picture_width);
  }
  return {x.begin, y.begin, x.end - x.begin, y.end - y.begin};
}

Image Paste(const PasteBack& place, const Image& painted) {
  const Pixels part =
      Resize({painted.width, painted.height, 3, painted.pixels}, place.width, place.height, ResizeMode::kCover);
  Image pasted = *place.original;
  for (int y = 0; y < place.height; ++y) {
    const size_t first =
        static_cast<size_t>(place.top + y) * static_cast<size_t>(pasted.width) + static_cast<size_t>(place.left);
    const uint8_t* from = part.row(y);
    uint8_t* to = pasted.pixels.data() + 3 * first;
    for (int x = 0; x < place.width; ++x) {
      const int share = place.mask->values[first + static_cast<size_t>(x)];
      for (int channel = 0; channel < 3; ++channel, ++from, ++to) {
        *to = static_cast<uint8_t>((*from * share + *to * (255 - share) + 127) / 255);
      }
    }
  }
  return pasted;
}

}  // namespace stepcast
