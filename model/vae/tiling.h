#pragma once
// Decoding and encoding in tiles that overlap, with the blending of diffusers: memory no longer grows with the picture,
// and what comes out is another, because a tile does not see what is around it.

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "absl/functional/function_ref.h"

namespace stepcast::model {

// [B, L, h, w] -> [B, 3, h * f, w * f] float32.
using TileDecoder = absl::FunctionRef<at::Tensor(const at::Tensor& z)>;
// [B, 3, H, W] -> [B, M, H / f, W / f] float32.
using TileEncoder = absl::FunctionRef<at::Tensor(const at::Tensor& pictures)>;

// How an AutoencoderKL is tiled: each tile begins three quarters of a tile after the one before, and the first quarter
// of a tile's pixels fades in over what the tile above, then what the tile to the left made of them.
struct TileGrid {
  int64_t cells = 0;   // side of a tile
  int64_t factor = 1;  // pixels per cell

  // Of a decoder trained on pictures of `sample_size`: as diffusers has it, `sample_size` / `factor` cells; where
  // three quarters of that are no whole number, so that diffusers' tiles would not join, the next smaller side.
  static TileGrid Of(int64_t sample_size, int64_t factor);

  int64_t stride() const { return cells / 4 * 3; }      // cells
  int64_t blend() const { return cells * factor / 4; }  // pixels
  int64_t pixels() const { return cells * factor; }     // side of a tile
};

// z [B, L, h, w], any size. Holds one tile's work, the edges of a row of tiles, and the picture.
at::Tensor DecodeTiles(const at::Tensor& z, const TileGrid& grid, TileDecoder decode);
// pictures [B, 3, H, W], sides multiples of the factor: the same tiles, blended as moments.
at::Tensor EncodeTiles(const at::Tensor& pictures, const TileGrid& grid, TileEncoder encode);

// How an AutoencoderTiny is tiled: tiles of 512 pixels whose first eighth fades in over what is there.
inline constexpr int64_t kMaskedTilePixels = 512;
at::Tensor DecodeMaskedTiles(const at::Tensor& z, int64_t factor, TileDecoder decode);
at::Tensor EncodeMaskedTiles(const at::Tensor& pictures, int64_t factor, TileEncoder encode);

}  // namespace stepcast::model
