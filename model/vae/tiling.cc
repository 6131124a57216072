#include "model/vae/tiling.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace stepcast::model {
namespace {

constexpr int64_t kRows = 2;
constexpr int64_t kColumns = 3;
constexpr int64_t kMaskedOverlap = 8;  // one part of so many

// Fades `tile` in over the last pixels of `before`, the tile that ends where the overlap does, along `axis`.
void Blend(const at::Tensor& before, at::Tensor& tile, int64_t axis, int64_t most) {
  const int64_t extent = std::min({before.size(axis), tile.size(axis), most});
  if (extent == 0) return;
  std::vector<double> rising, falling;
  for (int64_t i = 0; i < extent; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(extent);
    rising.push_back(share);
    falling.push_back(1 - share);
  }
  std::vector<int64_t> shape(4, 1);
  shape[static_cast<size_t>(axis)] = extent;
  const auto ramp = [&](const std::vector<double>& shares) {
    return at::tensor(shares, at::kFloat).view(shape).to(tile.device());
  };
  at::Tensor begin = tile.narrow(axis, 0, extent);
  const at::Tensor end = before.narrow(axis, before.size(axis) - extent, extent);
  begin.copy_(end.mul(ramp(falling)).add_(begin.mul(ramp(rising))));
}

// The last pixels along an axis, so that the rest of the tile can go.
at::Tensor Edge(const at::Tensor& tile, int64_t axis, int64_t extent) {
  const int64_t kept = std::min(extent, tile.size(axis));
  return tile.narrow(axis, tile.size(axis) - kept, kept).clone();
}

}  // namespace

TileGrid TileGrid::Of(int64_t sample_size, int64_t factor) {
  return {.cells = std::max<int64_t>(4, sample_size / factor / 4 * 4), .factor = factor};
}

at::Tensor DecodeTiles(const at::Tensor& z, const TileGrid& grid, TileDecoder decode) {
  const int64_t height = z.size(2);
  const int64_t width = z.size(3);
  const int64_t shown = grid.pixels() - grid.blend();
  at::Tensor picture =
      at::empty({z.size(0), 3, height * grid.factor, width * grid.factor}, z.options().dtype(at::kFloat));
  std::vector<at::Tensor> above, bottoms;  // lower edges of a row of tiles, blended
  for (int64_t y = 0; y < height; y += grid.stride()) {
    at::Tensor left;  // right edge of the tile before, blended
    for (int64_t x = 0; x < width; x += grid.stride()) {
      const at::Tensor cells = z.slice(kRows, y, std::min(y + grid.cells, height))
                                   .slice(kColumns, x, std::min(x + grid.cells, width))
                                   .contiguous(at::MemoryFormat::ChannelsLast);
      at::Tensor tile = decode(cells);
      if (y > 0) Blend(above[bottoms.size()], tile, kRows, grid.blend());
      if (x > 0) Blend(left, tile, kColumns, grid.blend());
      const int64_t rows = std::min(shown, tile.size(kRows));
      const int64_t columns = std::min(shown, tile.size(kColumns));
      picture.narrow(kRows, y * grid.factor, rows)
          .narrow(kColumns, x * grid.factor, columns)
          .copy_(tile.narrow(kRows, 0, rows).narrow(kColumns, 0, columns));
      left = Edge(tile, kColumns, grid.blend());
      bottoms.push_back(Edge(tile, kRows, grid.blend()));
    }
    above = std::exchange(bottoms, {});
  }
  return picture;
}

at::Tensor DecodeMaskedTiles(const at::Tensor& z, int64_t factor, TileDecoder decode) {
  const int64_t cells = kMaskedTilePixels / factor;
  const int64_t overlap = cells / kMaskedOverlap;
  const int64_t stride = cells - overlap;
  const at::Tensor ramp = at::arange(cells * factor, z.options().dtype(at::kFloat))
                              .div_(static_cast<double>(overlap * factor - 1))
                              .clamp_(0, 1);
  at::Tensor picture = at::zeros({z.size(0), 3, z.size(kRows) * factor, z.size(kColumns) * factor},
                                 z.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous));
  for (int64_t y = 0; y < z.size(kRows); y += stride) {
    for (int64_t x = 0; x < z.size(kColumns); x += stride) {
      const at::Tensor tile = decode(z.slice(kRows, y, std::min(y + cells, z.size(kRows)))
                                         .slice(kColumns, x, std::min(x + cells, z.size(kColumns)))
                                         .contiguous(at::MemoryFormat::ChannelsLast));
      const int64_t rows = tile.size(kRows);
      const int64_t columns = tile.size(kColumns);
      const at::Tensor down = (y == 0 ? at::ones_like(ramp) : ramp).narrow(0, 0, rows).view({1, 1, rows, 1});
      const at::Tensor across = (x == 0 ? at::ones_like(ramp) : ramp).narrow(0, 0, columns).view({1, 1, 1, columns});
      const at::Tensor mask = down * across;
      at::Tensor place = picture.narrow(kRows, y * factor, rows).narrow(kColumns, x * factor, columns);
      place.copy_(tile.mul(mask).add_(place.mul(mask.neg().add_(1))));
    }
  }
  return picture;
}

}  // namespace stepcast::model
