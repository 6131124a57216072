#include "model/layers/group_norm_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>

// The loops below are compiled once per instruction set, and the loader picks the best that the machine has.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define STEPCAST_PER_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define STEPCAST_PER_CPU
#endif
#define STEPCAST_INLINE inline __attribute__((always_inline))

namespace stepcast::model {
namespace {

// Float sums of more cells than this go through double: a decoder's last level has 262,144 cells per channel.
constexpr int64_t kBlock = 512;
// Elements of a row below which splitting it costs more than it brings.
constexpr int64_t kWorthSplitting = 32'768;

// One range of channels of one row. Cells are `stride` elements apart.
template <typename T>
struct Panel {
  const T* data;
  int64_t cells;
  int64_t stride;
  int64_t width;
};

STEPCAST_INLINE float ToFloat(float x) { return x; }
STEPCAST_INLINE float ToFloat(c10::BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.x) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
STEPCAST_INLINE void Store(float value, float* to) { *to = value; }
STEPCAST_INLINE void Store(float value, c10::BFloat16* to) {
  // Round to nearest even, and keep NaN: in arithmetic that vectorises.
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  to->x = static_cast<uint16_t>(value != value ? 0x7fc0U : rounded);
}

template <typename T>
STEPCAST_INLINE void SumLoop(const Panel<T>& panel, float* sum) {
  for (int64_t cell = 0; cell < panel.cells; ++cell) {
    const T* x = panel.data + cell * panel.stride;
    for (int64_t c = 0; c < panel.width; ++c) sum[c] += ToFloat(x[c]);
  }
}

template <typename T>
STEPCAST_INLINE void SquaresLoop(const Panel<T>& panel, const float* centre, float* sum) {
  for (int64_t cell = 0; cell < panel.cells; ++cell) {
    const T* x = panel.data + cell * panel.stride;
    for (int64_t c = 0; c < panel.width; ++c) {
      const float difference = ToFloat(x[c]) - centre[c];
      sum[c] += difference * difference;
    }
  }
}

template <typename T>
STEPCAST_INLINE void ScaleLoop(const Panel<T>& panel, const float* scale, const float* shift, T* y) {
  for (int64_t cell = 0; cell < panel.cells; ++cell) {
    const T* x = panel.data + cell * panel.stride;
    T* out = y + cell * panel.stride;
    for (int64_t c = 0; c < panel.width; ++c) Store(ToFloat(x[c]) * scale[c] + shift[c], out + c);
  }
}

STEPCAST_PER_CPU void Sum(const Panel<float>& panel, float* sum) { SumLoop(panel, sum); }
STEPCAST_PER_CPU void Sum(const Panel<c10::BFloat16>& panel, float* sum) { SumLoop(panel, sum); }
STEPCAST_PER_CPU void Squares(const Panel<float>& panel, const float* centre, float* sum) {
  SquaresLoop(panel, centre, sum);
}
STEPCAST_PER_CPU void Squares(const Panel<c10::BFloat16>& panel, const float* centre, float* sum) {
  SquaresLoop(panel, centre, sum);
}
STEPCAST_PER_CPU void Scale(const Panel<float>& panel, const float* scale, const float* shift, float* y) {
  ScaleLoop(panel, scale, shift, y);
}
STEPCAST_PER_CPU void Scale(const Panel<c10::BFloat16>& panel, const float* scale, const float* shift,
                            c10::BFloat16* y) {
  ScaleLoop(panel, scale, shift, y);
}

// Per channel, the total of what `add` sums up block by block.
template <typename T, typename Add>
void Total(Panel<T> panel, std::vector<float>& block, std::vector<double>& total, Add add) {
  std::fill(total.begin(), total.end(), 0.0);
  const int64_t cells = panel.cells;
  for (int64_t cell = 0; cell < cells; cell += kBlock) {
    std::fill(block.begin(), block.end(), 0.0F);
    panel.cells = std::min(kBlock, cells - cell);
    add(panel, block.data());
    panel.data += panel.cells * panel.stride;
    for (size_t c = 0; c < total.size(); ++c) total[c] += static_cast<double>(block[c]);
  }
}

// Groups `first` .. `first` + `count` of one row.
template <typename T>
void NormalizeGroups(const GroupNormSizes& sizes, int64_t first, int64_t count, const T* x, const T* row_bias,
                     const float* weight, const float* bias, T* y) {
  const int64_t per_group = sizes.channels / sizes.groups;
  const int64_t begin = first * per_group;
  const int64_t width = count * per_group;
  const Panel<T> panel{x + begin, sizes.cells, sizes.channels, width};
  const auto size = static_cast<size_t>(width);
  std::vector<float> block(size), centre(size), scale(size), shift(size);
  std::vector<double> total(size);

  const auto added = [&](int64_t c) { return row_bias == nullptr ? 0.0F : ToFloat(row_bias[begin + c]); };
  const double elements = static_cast<double>(sizes.cells * per_group);
  Total(panel, block, total, [](const Panel<T>& part, float* sum) { Sum(part, sum); });
  for (int64_t group = 0; group < count; ++group) {
    double sum = 0;
    for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c) {
      sum += total[static_cast<size_t>(c)] + static_cast<double>(added(c)) * static_cast<double>(sizes.cells);
    }
    for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c) {
      centre[static_cast<size_t>(c)] = static_cast<float>(sum / elements - static_cast<double>(added(c)));
    }
  }
  Total(panel, block, total, [&](const Panel<T>& part, float* sum) { Squares(part, centre.data(), sum); });
  for (int64_t group = 0; group < count; ++group) {
    double sum = 0;
    for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c) sum += total[static_cast<size_t>(c)];
    const double inverse_deviation = 1 / std::sqrt(sum / elements + sizes.eps);
    for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c) {
      const auto at = static_cast<size_t>(c);
      scale[at] = static_cast<float>(static_cast<double>(weight[begin + c]) * inverse_deviation);
      shift[at] = bias[begin + c] - centre[at] * scale[at];
    }
  }
  Scale(panel, scale.data(), shift.data(), y + begin);
}

}  // namespace

template <typename T>
void GroupNormChannelsLast(const GroupNormSizes& sizes, const T* x, RowBias<T> row_bias, const float* weight,
                           const float* bias, T* y) {
  const int64_t row_size = sizes.cells * sizes.channels;
  // Rows are the natural split; a row is cut into ranges of groups only when there are fewer rows than threads.
  int64_t parts = 1;
  if (row_size >= kWorthSplitting && sizes.rows < at::get_num_threads()) {
    parts = std::min<int64_t>(sizes.groups, (at::get_num_threads() + sizes.rows - 1) / sizes.rows);
  }
  const int64_t groups_each = (sizes.groups + parts - 1) / parts;
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t row = task / parts;
      const int64_t first = task % parts * groups_each;
      const int64_t count = std::min(groups_each, sizes.groups - first);
      if (count <= 0) continue;
      const T* added = row_bias.values == nullptr ? nullptr : row_bias.values + row * row_bias.stride;
      NormalizeGroups(sizes, first, count, x + row * row_size, added, weight, bias, y + row * row_size);
    }
  };
  const int64_t tasks = sizes.rows * parts;
  if (sizes.rows * row_size < kWorthSplitting) {
    run(0, tasks);
  } else {
    at::parallel_for(0, tasks, 1, run);
  }
}

template void GroupNormChannelsLast(const GroupNormSizes&, const float*, RowBias<float>, const float*, const float*,
                                    float*);
template void GroupNormChannelsLast(const GroupNormSizes&, const c10::BFloat16*, RowBias<c10::BFloat16>, const float*,
                                    const float*, c10::BFloat16*);

}  // namespace stepcast::model
