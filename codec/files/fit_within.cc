#include <algorithm>
#include <cstdint>
#include <vector>

#include "codec/files/image_codec.h"

namespace stepcast {
namespace {

constexpr size_t kChannels = 3;

// `side` scaled by to / from, rounded, at least 1.
int Scaled(int side, int from, int to) {
  return static_cast<int>(std::max<int64_t>(1, (static_cast<int64_t>(side) * to * 2 + from) / (2 * int64_t{from})));
}

// The source pixels that one target pixel covers along an axis. Lengths are in units in which a source pixel is
// `target` long and a target pixel is `source` long, so that all are whole.
struct Span {
  int first = 0;
  std::vector<uint32_t> lengths;
};

std::vector<Span> Spans(int source, int target) {
  std::vector<Span> spans(static_cast<size_t>(target));
  for (int index = 0; index < target; ++index) {
    const int64_t begin = static_cast<int64_t>(index) * source;
    const int64_t end = begin + source;
    Span& span = spans[static_cast<size_t>(index)];
    span.first = static_cast<int>(begin / target);
    for (int64_t pixel = span.first; pixel * target < end; ++pixel) {
      span.lengths.push_back(
          static_cast<uint32_t>(std::min(end, (pixel + 1) * target) - std::max(begin, pixel * target)));
    }
  }
  return spans;
}

const uint8_t* Row(const Image& image, int y) {
  return image.pixels.data() + static_cast<size_t>(y) * static_cast<size_t>(image.width) * kChannels;
}

// Sums a row's pixels into `sums`, weighted by their overlap along x.
void SumRow(const uint8_t* row, const std::vector<Span>& columns, std::vector<uint64_t>* sums) {
  uint64_t* sum = sums->data();
  for (const Span& span : columns) {
    const uint8_t* pixel = row + static_cast<size_t>(span.first) * kChannels;
    uint64_t totals[kChannels] = {};
    for (const uint64_t length : span.lengths) {
      for (size_t channel = 0; channel < kChannels; ++channel) {
        totals[channel] += length * *pixel++;
      }
    }
    sum = std::copy(std::begin(totals), std::end(totals), sum);
  }
}

// Exact averages over each target pixel's area. The sums fit: sides below 2^31 would need 2^70, the 2^14 of any codec
// need 2^36.
void AverageAreas(const Image& from, Image* to) {
  const std::vector<Span> columns = Spans(from.width, to->width);
  const std::vector<Span> rows = Spans(from.height, to->height);
  const uint64_t area = static_cast<uint64_t>(from.width) * static_cast<uint64_t>(from.height);
  std::vector<uint64_t> sums(columns.size() * kChannels);
  std::vector<uint64_t> totals(sums.size());
  uint8_t* target = to->pixels.data();
  for (const Span& span : rows) {
    std::fill(totals.begin(), totals.end(), 0);
    int y = span.first;
    for (const uint64_t length : span.lengths) {
      SumRow(Row(from, y++), columns, &sums);
      for (size_t index = 0; index < sums.size(); ++index) {
        totals[index] += length * sums[index];
      }
    }
    for (const uint64_t total : totals) {
      *target++ = static_cast<uint8_t>((total + area / 2) / area);
    }
  }
}

void CopyNearest(const Image& from, Image* to) {
  const auto source_index = [](int index, int source, int target) {  // of the pixel below the target pixel's centre
    return static_cast<size_t>((2 * int64_t{index} + 1) * source / (2 * int64_t{target}));
  };
  uint8_t* target = to->pixels.data();
  for (int y = 0; y < to->height; ++y) {
    const uint8_t* row = Row(from, static_cast<int>(source_index(y, from.height, to->height)));
    for (int x = 0; x < to->width; ++x) {
      target = std::copy_n(row + source_index(x, from.width, to->width) * kChannels, kChannels, target);
    }
  }
}

}  // namespace

Image FitWithin(const Image& image, int max_side) {
  const int longer = std::max(image.width, image.height);
  max_side = std::max(max_side, 1);
  if (image.pixels.empty() || longer == max_side) {
    return image;
  }
  Image fitted = {
      .width = Scaled(image.width, longer, max_side), .height = Scaled(image.height, longer, max_side), .pixels = {}};
  fitted.pixels.resize(static_cast<size_t>(fitted.width) * static_cast<size_t>(fitted.height) * kChannels);
  if (max_side < longer) {
    AverageAreas(image, &fitted);
  } else {
    CopyNearest(image, &fitted);
  }
  return fitted;
}

}  // namespace stepcast
