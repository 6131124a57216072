#pragma once
// Decoding and encoding in tiles that overlap, with the blending of diffusers: memory no longer grows with the picture,
// and what comes out is another, because a tile does not see what is around it.

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace stepcast::model {

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

// How an AutoencoderTiny is tiled: tiles of so many pixels whose first eighth fades in over what is there.
inline constexpr int64_t kMaskedTilePixels = 512;

// What is made of something large one tile after the other, so that others can work between two tiles. Holds the input,
// what is put together so far, and the edges of a row of tiles.
//
// Thread-safety: none.
class TiledWork {
 public:
  // Of one tile; must live as long as the work.
  using Work = std::function<at::Tensor(const at::Tensor&)>;

  // z [B, L, h, w], any size -> [B, 3, h * f, w * f] float32.
  static TiledWork Decode(at::Tensor z, const TileGrid& grid, Work decode);
  // pictures [B, 3, H, W], sides multiples of the factor -> [B, M, H / f, W / f]: the same tiles, blended as moments.
  static TiledWork Encode(at::Tensor pictures, const TileGrid& grid, Work encode);
  // The same as an AutoencoderTiny is tiled.
  static TiledWork DecodeMasked(at::Tensor z, int64_t factor, Work decode);
  static TiledWork EncodeMasked(at::Tensor pictures, int64_t factor, Work encode);

  int64_t tiles() const;  // in all
  int64_t tiles_done() const { return tiles_done_; }
  bool done() const { return tiles_done_ == tiles(); }

  // Makes the next tile. What it throws leaves the work where it was. REQUIRES: !done().
  void Next();
  // Makes all that is left, and returns the whole.
  at::Tensor Finish();
  const at::Tensor& input() const { return input_; }
  // REQUIRES: done().
  const at::Tensor& output() const { return output_; }

 private:
  // How tiles lie in what comes in, and in what comes out.
  struct Tiles {
    int64_t side = 0;
    int64_t stride = 0;
    int64_t blend = 0;  // of what comes out; not read where `masked`
    int64_t up = 1;     // sides of what comes out per side of what comes in; or
    int64_t down = 1;   // the other way round
    bool masked = false;

    int64_t Out(int64_t in) const { return in * up / down; }
  };

  TiledWork(at::Tensor input, const Tiles& tiles, Work work)
      : input_(std::move(input)), tiles_(tiles), work_(std::move(work)) {}

  int64_t Along(int64_t axis) const;
  at::Tensor TileAt(int64_t y, int64_t x) const;
  void Put(at::Tensor tile, int64_t y, int64_t x);
  void PutMasked(const at::Tensor& tile, int64_t y, int64_t x);

  at::Tensor input_;
  Tiles tiles_;
  Work work_;
  int64_t tiles_done_ = 0;
  at::Tensor output_;
  std::vector<at::Tensor> above_, bottoms_;  // lower edges of a row of tiles, blended
  at::Tensor left_;                          // right edge of the tile before, blended
};

}  // namespace stepcast::model
