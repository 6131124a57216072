#include "scheduler/words/tile_work.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace stepcast {
namespace {

// A tile begins three quarters of a tile after the one before.
int Along(int side, int tile) { return (4 * side + 3 * tile - 1) / (3 * tile); }

// Whether `item` works on a picture that tiles make a difference to.
bool IsTiled(const WorkItem& item, const sampling::Recipe& recipe) {
  if (item.key.phase == Phase::kDecode) return true;
  if (item.key.phase != Phase::kEncodePicture) return false;
  return recipe.pictures[static_cast<size_t>(item.first)].use != sampling::PictureUse::kHint;
}

bool IsSamePicture(const WorkItem& a, const WorkItem& b) {
  return a.key == b.key && a.stage == b.stage && a.first == b.first;
}

}  // namespace

int TileTicks(const Decoding& decoding, int width, int height) {
  if (!CanTile(decoding, width, height)) return 1;
  return Along(width, decoding.tile_side) * Along(height, decoding.tile_side);
}

SharedWorkList InTiles(const SharedWorkList& work, const sampling::Recipe& recipe) {
  std::vector<WorkItem> items;
  for (WorkItem item : work->items()) {
    const sampling::Stage& stage = recipe.stages[static_cast<size_t>(item.stage)];
    const Decoding& decoding = stage.model->decoding;
    const int scale = stage.model->vae_scale_factor;
    const int ticks =
        IsTiled(item, recipe) ? TileTicks(decoding, stage.latent_width * scale, stage.latent_height * scale) : 1;
    if (ticks > 1) {
      item.key.latent_height = std::min(item.key.latent_height, decoding.tile_side / scale);
      item.key.latent_width = std::min(item.key.latent_width, decoding.tile_side / scale);
    }
    if (item.key.phase == Phase::kDecode) {
      item.count = ticks;
      items.push_back(std::move(item));
    } else {
      items.insert(items.end(), static_cast<size_t>(ticks), item);
    }
  }
  return std::make_shared<const WorkList>(std::move(items), work->steps());
}

TileShare NextTileShare(const Job& job) {
  const WorkItem& next = job.next();
  if (next.key.phase == Phase::kDecode) return {.tick = job.done_of_item(), .ticks = next.count};
  const std::vector<WorkItem>& items = job.work().items();
  size_t first = job.place(), end = first + 1;
  while (first > 0 && IsSamePicture(items[first - 1], next)) --first;
  while (end < items.size() && IsSamePicture(items[end], next)) ++end;
  return {.tick = static_cast<int>(job.place() - first), .ticks = static_cast<int>(end - first)};
}

}  // namespace stepcast
