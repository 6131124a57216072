#include "scheduler/dispatch/placement.h"

#include <algorithm>
#include <tuple>

namespace stepcast {
namespace {

// A loop after it was given `images` images, as it compares with others.
std::tuple<bool, absl::Duration, int, bool, bool, size_t> Rank(absl::Span<const LoopLoad> loads, size_t loop,
                                                               int images) {
  const LoopLoad& load = loads[loop];
  absl::Duration finish = load.busy + images * load.own;
  if (load.same_key) finish -= load.own / 10;
  if (load.knows_prompt) finish -= load.own / 20;
  return {images > load.room, finish, load.jobs + images, !load.same_key, !load.knows_prompt, loop};
}

}  // namespace

std::vector<size_t> PlaceImages(absl::Span<const LoopLoad> loads, int images) {
  std::vector<int> given(loads.size(), 0);
  std::vector<size_t> placed;
  for (int i = 0; i < images; ++i) {
    size_t best = loads.size();
    for (size_t loop = 0; loop < loads.size(); ++loop) {
      if (!loads[loop].usable) continue;
      if (best == loads.size() || Rank(loads, loop, given[loop] + 1) < Rank(loads, best, given[best] + 1)) best = loop;
    }
    if (best == loads.size()) return {};
    ++given[best];
    placed.push_back(best);
  }
  return placed;
}

std::vector<size_t> ByFinish(absl::Span<const LoopLoad> loads, int images) {
  std::vector<size_t> order;
  for (size_t loop = 0; loop < loads.size(); ++loop) {
    if (loads[loop].usable) order.push_back(loop);
  }
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return Rank(loads, a, images) < Rank(loads, b, images); });
  return order;
}

}  // namespace stepcast
