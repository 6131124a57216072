#include "model/vae/tiling.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/ops/arange.h>
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

// Tiles of what comes in, and how they lie in what comes out.
struct Tiles {
  int64_t side = 0;
  int64_t stride = 0;
  int64_t blend = 0;  // of what comes out
  int64_t up = 1;     // sides of what comes out per side of what comes in; or
  int64_t down = 1;   // the other way round

  int64_t Out(int64_t in) const { return in * up / down; }
};

at::Tensor TileAt(const at::Tensor& input, const Tiles& tiles, int64_t y, int64_t x) {
  return input.slice(kRows, y, std::min(y + tiles.side, input.size(kRows)))
      .slice(kColumns, x, std::min(x + tiles.side, input.size(kColumns)))
      .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor Output(const at::Tensor& input, const Tiles& tiles, int64_t channels) {
  return at::zeros({input.size(0), channels, tiles.Out(input.size(kRows)), tiles.Out(input.size(kColumns))},
                   input.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous));
}

at::Tensor WorkInTiles(const at::Tensor& input, const Tiles& tiles, TileDecoder work) {
  const int64_t shown = tiles.Out(tiles.side) - tiles.blend;
  at::Tensor output;
  std::vector<at::Tensor> above, bottoms;  // lower edges of a row of tiles, blended
  for (int64_t y = 0; y < input.size(kRows); y += tiles.stride) {
    at::Tensor left;  // right edge of the tile before, blended
    for (int64_t x = 0; x < input.size(kColumns); x += tiles.stride) {
      at::Tensor tile = work(TileAt(input, tiles, y, x));
      if (!output.defined()) output = Output(input, tiles, tile.size(1));
      if (y > 0) Blend(above[bottoms.size()], tile, kRows, tiles.blend);
      if (x > 0) Blend(left, tile, kColumns, tiles.blend);
      const int64_t rows = std::min(shown, tile.size(kRows));
      const int64_t columns = std::min(shown, tile.size(kColumns));
      output.narrow(kRows, tiles.Out(y), rows)
          .narrow(kColumns, tiles.Out(x), columns)
          .copy_(tile.narrow(kRows, 0, rows).narrow(kColumns, 0, columns));
      left = Edge(tile, kColumns, tiles.blend);
      bottoms.push_back(Edge(tile, kRows, tiles.blend));
    }
    above = std::exchange(bottoms, {});
  }
  return output;
}

// Reads no stride and no blend.
at::Tensor WorkInMaskedTiles(const at::Tensor& input, const Tiles& tiles, TileDecoder work) {
  const int64_t overlap = tiles.side / kMaskedOverlap;
  const at::Tensor ramp = at::arange(tiles.Out(tiles.side), input.options().dtype(at::kFloat))
                              .div_(static_cast<double>(tiles.Out(overlap) - 1))
                              .clamp_(0, 1);
  at::Tensor output;
  for (int64_t y = 0; y < input.size(kRows); y += tiles.side - overlap) {
    for (int64_t x = 0; x < input.size(kColumns); x += tiles.side - overlap) {
      const at::Tensor tile = work(TileAt(input, tiles, y, x));
      if (!output.defined()) output = Output(input, tiles, tile.size(1));
      const int64_t rows = tile.size(kRows);
      const int64_t columns = tile.size(kColumns);
      const at::Tensor down = (y == 0 ? at::ones_like(ramp) : ramp).narrow(0, 0, rows).view({1, 1, rows, 1});
      const at::Tensor across = (x == 0 ? at::ones_like(ramp) : ramp).narrow(0, 0, columns).view({1, 1, 1, columns});
      const at::Tensor mask = down * across;
      at::Tensor place = output.narrow(kRows, tiles.Out(y), rows).narrow(kColumns, tiles.Out(x), columns);
      place.copy_(tile.mul(mask).add_(place.mul(mask.neg().add_(1))));
    }
  }
  return output;
}

}  // namespace

TileGrid TileGrid::Of(int64_t sample_size, int64_t factor) {
  return {.cells = std::max<int64_t>(4, sample_size / factor / 4 * 4), .factor = factor};
}

at::Tensor DecodeTiles(const at::Tensor& z, const TileGrid& grid, TileDecoder decode) {
  return WorkInTiles(z, {.side = grid.cells, .stride = grid.stride(), .blend = grid.blend(), .up = grid.factor},
                     decode);
}

at::Tensor EncodeTiles(const at::Tensor& pictures, const TileGrid& grid, TileEncoder encode) {
  return WorkInTiles(pictures,
                     {.side = grid.pixels(),
                      .stride = grid.stride() * grid.factor,
                      .blend = grid.blend() / grid.factor,
                      .down = grid.factor},
                     encode);
}

at::Tensor DecodeMaskedTiles(const at::Tensor& z, int64_t factor, TileDecoder decode) {
  return WorkInMaskedTiles(z, {.side = kMaskedTilePixels / factor, .up = factor}, decode);
}

at::Tensor EncodeMaskedTiles(const at::Tensor& pictures, int64_t factor, TileEncoder encode) {
  return WorkInMaskedTiles(pictures, {.side = kMaskedTilePixels, .down = factor}, encode);
}

}  // namespace stepcast::model
