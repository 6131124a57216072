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

// Where a masked tile shows: it fades in, but for the sides where it is the first.
at::Tensor MaskOf(const at::Tensor& tile, int64_t overlap, bool first_row, bool first_column) {
  const auto ramp = [&](int64_t extent, bool first) {
    const at::Tensor rising =
        at::arange(extent, tile.options().dtype(at::kFloat)).div_(static_cast<double>(overlap - 1)).clamp_(0, 1);
    return first ? at::ones_like(rising) : rising;
  };
  return ramp(tile.size(kRows), first_row).view({1, 1, -1, 1}) *
         ramp(tile.size(kColumns), first_column).view({1, 1, 1, -1});
}

}  // namespace

TileGrid TileGrid::Of(int64_t sample_size, int64_t factor) {
  return {.cells = std::max<int64_t>(4, sample_size / factor / 4 * 4), .factor = factor};
}

TiledWork TiledWork::Decode(at::Tensor z, const TileGrid& grid, Work decode) {
  return {std::move(z),
          {.side = grid.cells, .stride = grid.stride(), .blend = grid.blend(), .up = grid.factor},
          std::move(decode)};
}

TiledWork TiledWork::Encode(at::Tensor pictures, const TileGrid& grid, Work encode) {
  return {std::move(pictures),
          {.side = grid.pixels(),
           .stride = grid.stride() * grid.factor,
           .blend = grid.blend() / grid.factor,
           .down = grid.factor},
          std::move(encode)};
}

TiledWork TiledWork::DecodeMasked(at::Tensor z, int64_t factor, Work decode) {
  const int64_t side = kMaskedTilePixels / factor;
  return {std::move(z),
          {.side = side, .stride = side - side / kMaskedOverlap, .up = factor, .masked = true},
          std::move(decode)};
}

TiledWork TiledWork::EncodeMasked(at::Tensor pictures, int64_t factor, Work encode) {
  constexpr int64_t kSide = kMaskedTilePixels;
  return {std::move(pictures),
          {.side = kSide, .stride = kSide - kSide / kMaskedOverlap, .down = factor, .masked = true},
          std::move(encode)};
}

int64_t TiledWork::Along(int64_t axis) const { return (input_.size(axis) + tiles_.stride - 1) / tiles_.stride; }

int64_t TiledWork::tiles() const { return Along(kRows) * Along(kColumns); }

at::Tensor TiledWork::TileAt(int64_t y, int64_t x) const {
  return input_.slice(kRows, y, std::min(y + tiles_.side, input_.size(kRows)))
      .slice(kColumns, x, std::min(x + tiles_.side, input_.size(kColumns)))
      .contiguous(at::MemoryFormat::ChannelsLast);
}

void TiledWork::Next() {
  const int64_t y = tiles_done_ / Along(kColumns) * tiles_.stride;
  const int64_t x = tiles_done_ % Along(kColumns) * tiles_.stride;
  at::Tensor tile = work_(TileAt(y, x));
  if (!output_.defined()) {
    output_ =
        at::zeros({input_.size(0), tile.size(1), tiles_.Out(input_.size(kRows)), tiles_.Out(input_.size(kColumns))},
                  input_.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous));
  }
  tiles_.masked ? PutMasked(tile, y, x) : Put(std::move(tile), y, x);
  ++tiles_done_;
}

void TiledWork::Put(at::Tensor tile, int64_t y, int64_t x) {
  const int64_t shown = tiles_.Out(tiles_.side) - tiles_.blend;
  if (y > 0) Blend(above_[bottoms_.size()], tile, kRows, tiles_.blend);
  if (x > 0) Blend(left_, tile, kColumns, tiles_.blend);
  const int64_t rows = std::min(shown, tile.size(kRows));
  const int64_t columns = std::min(shown, tile.size(kColumns));
  output_.narrow(kRows, tiles_.Out(y), rows)
      .narrow(kColumns, tiles_.Out(x), columns)
      .copy_(tile.narrow(kRows, 0, rows).narrow(kColumns, 0, columns));
  at::Tensor left = Edge(tile, kColumns, tiles_.blend);
  bottoms_.push_back(Edge(tile, kRows, tiles_.blend));
  left_ = std::move(left);
  if (static_cast<int64_t>(bottoms_.size()) == Along(kColumns)) above_ = std::exchange(bottoms_, {});
}

void TiledWork::PutMasked(const at::Tensor& tile, int64_t y, int64_t x) {
  const at::Tensor mask = MaskOf(tile, tiles_.Out(tiles_.side / kMaskedOverlap), y == 0, x == 0);
  at::Tensor place =
      output_.narrow(kRows, tiles_.Out(y), tile.size(kRows)).narrow(kColumns, tiles_.Out(x), tile.size(kColumns));
  place.copy_(tile.mul(mask).add_(place.mul(mask.neg().add_(1))));
}

at::Tensor TiledWork::Finish() {
  while (!done()) Next();
  return output_;
}

}  // namespace stepcast::model
