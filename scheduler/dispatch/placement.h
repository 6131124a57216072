#pragma once
// Which loop gets which image.

#include <limits>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace stepcast {

// One loop as a request sees it.
struct LoopLoad {
  bool usable = true;        // false: gets nothing
  absl::Duration busy = {};  // predicted time until all that it was given is done; zero when nothing is known
  int jobs = 0;              // that it was given and has not ended
  absl::Duration own = {};   // predicted time of one of the request's images alone; zero when unknown
  int room = std::numeric_limits<int>::max();  // images that still fit its queue
  bool same_key = false;                       // has jobs that can share ticks with the request's
  bool knows_prompt = false;                   // has encoded the request's prompt before
};

// The loop of each of `images` equal images: one after the other goes where it will be done first, and where two are
// about even, to the loop that runs its key (worth a tenth of its own time) or knows its prompt (a twentieth). Among
// equals the fewest jobs win, then the key, the prompt, and the lowest index. A loop without room
// left comes after all that have some. Empty when no loop is usable.
std::vector<size_t> PlaceImages(absl::Span<const LoopLoad> loads, int images);

// The usable loops, the one that would be done with all of `images` images first in front.
std::vector<size_t> ByFinish(absl::Span<const LoopLoad> loads, int images);

}  // namespace stepcast
