#pragma once
// Pictures that are decoded and encoded tile by tile, so that others step between two tiles.

#include <cstddef>
#include <cstdint>

#include "core/decoding.h"
#include "scheduler/words/job.h"
#include "scheduler/words/work_list.h"

namespace stepcast {

// Ticks in which a picture that is decoded in tiles comes: one for each tile, where tiles lie as those of an
// AutoencoderKL do; other decoders have no more of them. 1 where one tile holds it.
int TileTicks(const Decoding& decoding, int width, int height);

// `work`, in which the pictures of `recipe` come in tiles: a decode is so many ticks, an encode so many items, each of
// the size of a tile. What ControlNets look at comes as a whole.
SharedWorkList InTiles(const SharedWorkList& work, const sampling::Recipe& recipe);

// What one tick does of something that comes in tiles.
struct TileShare {
  int tick = 0;
  int ticks = 1;

  bool last() const { return tick + 1 == ticks; }
  // Tiles of `tiles` that are done after it.
  int64_t DoneOf(int64_t tiles) const { return tiles * (tick + 1) / ticks; }
};

// Of the job's next tick. REQUIRES: its phase is kDecode or kEncodePicture.
TileShare NextTileShare(const Job& job);

}  // namespace stepcast
