#include "codec/pixels/lanczos.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace stepcast {
namespace {

constexpr double kLobes = 3.0;
// Of the weights; with them a sum over 8-bit values stays within 32 bits.
constexpr int kFractionBits = 32 - 8 - 2;

double Sinc(double x) { return x == 0.0 ? 1.0 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

double Lanczos(double x) { return x >= -kLobes && x < kLobes ? Sinc(x) * Sinc(x / kLobes) : 0.0; }

int32_t Fixed(double weight) {
  const double scaled = weight * (1 << kFractionBits);
  return static_cast<int32_t>(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

// The source pixels under one target pixel along an axis.
struct Tap {
  int first = 0;
  std::vector<int32_t> weights = {};
};

// Of the target pixels from `begin` on.
std::vector<Tap> Taps(int source, int target, int begin, int count) {
  const double scale = static_cast<double>(source) / target;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kLobes * filter_scale;
  std::vector<Tap> taps(static_cast<size_t>(count));
  std::vector<double> weights;
  for (int index = 0; index < count; ++index) {
    const double center = (begin + index + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), source);
    weights.clear();
    double sum = 0.0;
    for (int pixel = first; pixel < end; ++pixel) {
      weights.push_back(Lanczos((pixel - center + 0.5) * (1.0 / filter_scale)));
      sum += weights.back();
    }
    Tap& tap = taps[static_cast<size_t>(index)];
    tap.first = first;
    tap.weights.reserve(weights.size());
    for (const double weight : weights) tap.weights.push_back(Fixed(sum != 0.0 ? weight / sum : weight));
  }
  return taps;
}

uint8_t Rounded(int32_t sum) {
  return static_cast<uint8_t>(std::clamp((sum + (1 << (kFractionBits - 1))) >> kFractionBits, 0, 255));
}

template <int kChannels>
void ResizeRow(const uint8_t* row, const std::vector<Tap>& taps, uint8_t* target) {
  for (const Tap& tap : taps) {
    const uint8_t* pixel = row + static_cast<size_t>(tap.first) * kChannels;
    int32_t sums[kChannels] = {};
    for (const int32_t weight : tap.weights) {
      for (int channel = 0; channel < kChannels; ++channel) sums[channel] += weight * *pixel++;
    }
    for (const int32_t sum : sums) *target++ = Rounded(sum);
  }
}

void ResizeRow(const uint8_t* row, int channels, const std::vector<Tap>& taps, uint8_t* target) {
  switch (channels) {
    case 1:
      return ResizeRow<1>(row, taps, target);
    case 2:
      return ResizeRow<2>(row, taps, target);
    case 3:
      return ResizeRow<3>(row, taps, target);
    default:
      return ResizeRow<4>(row, taps, target);
  }
}

// `count` rows from `first` on, each by itself.
Pixels ResizeRows(const Pixels& pixels, const std::vector<Tap>& taps, int first, int count) {
  Pixels resized = MakePixels(static_cast<int>(taps.size()), count, pixels.channels);
  for (int y = 0; y < count; ++y) ResizeRow(pixels.row(first + y), pixels.channels, taps, resized.row(y));
  return resized;
}

// `first`: which row of the whole picture is the first one of `pixels`.
Pixels ResizeColumns(const Pixels& pixels, const std::vector<Tap>& taps, int first) {
  Pixels resized = MakePixels(pixels.width, static_cast<int>(taps.size()), pixels.channels);
  std::vector<int32_t> sums(pixels.row_bytes());
  for (int y = 0; y < resized.height; ++y) {
    const Tap& tap = taps[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), 0);
    int source = tap.first - first;
    for (const int32_t weight : tap.weights) {
      const uint8_t* row = pixels.row(source++);
      for (size_t index = 0; index < sums.size(); ++index) sums[index] += weight * row[index];
    }
    std::transform(sums.begin(), sums.end(), resized.row(y), Rounded);
  }
  return resized;
}

// Which pass comes first shows where the other one is cut off at black or white; the rule is Pillow 13's.
bool ColumnsFirst(const Pixels& pixels, int width, int height) {
  return height < pixels.height && pixels.height - height > 2 * (pixels.width - width);
}

std::vector<Tap> Moved(std::vector<Tap> taps, int by) {
  for (Tap& tap : taps) tap.first += by;
  return taps;
}

}  // namespace

Pixels ResizeLanczos(const Pixels& pixels, int width, int height) {
  return ResizeLanczosPart(pixels, width, height, {0, 0, width, height});
}

Pixels ResizeLanczosPart(const Pixels& pixels, int width, int height, const Region& region) {
  const bool same_width = width == pixels.width;
  if (height == pixels.height) {
    if (same_width) return Crop(pixels, region);
    return ResizeRows(pixels, Taps(pixels.width, width, region.left, region.width), region.top, region.height);
  }
  const std::vector<Tap> rows = Taps(pixels.height, height, region.top, region.height);
  const int first = rows.front().first;
  const int count = rows.back().first + static_cast<int>(rows.back().weights.size()) - first;
  if (same_width) return ResizeColumns(Crop(pixels, {region.left, first, region.width, count}), rows, first);
  const std::vector<Tap> columns = Taps(pixels.width, width, region.left, region.width);
  if (!ColumnsFirst(pixels, width, height)) {
    return ResizeColumns(ResizeRows(pixels, columns, first, count), rows, first);
  }
  const int left = columns.front().first;
  const int right = columns.back().first + static_cast<int>(columns.back().weights.size());
  const Pixels narrow = ResizeColumns(Crop(pixels, {left, first, right - left, count}), rows, first);
  return ResizeRows(narrow, Moved(columns, -left), 0, narrow.height);
}

}  // namespace stepcast
