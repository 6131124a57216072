#pragma once
// What a dispatcher remembers of its loops between their own reports.

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/dispatch/placement.h"
#include "scheduler/loop/engine_loop.h"

namespace stepcast {

// A loop decides a moment after it was asked, and requests may come faster: the books add what was sent and is not
// decided yet, so that a burst does not all go to one loop. They also learn what a row of each key takes on each loop,
// and remember where keys run and prompts were encoded.
//
// Thread-safety: none; the dispatcher locks.
class LoopBooks {
 public:
  // Each of `loops` loops admits requests while at most `max_queued_jobs` images wait there.
  LoopBooks(size_t loops, int max_queued_jobs) : max_queued_jobs_(max_queued_jobs), loops_(loops) {}

  // How each loop stands to a request of which `spec` is one image. `statuses`: their newest reports.
  std::vector<LoopLoad> LoadsFor(const JobSpec& spec, absl::Span<const EngineStatus> statuses);

  // `images` images like `spec` were posted to `loop`. Returns a number for OnDecided.
  int64_t OnSent(size_t loop, const JobSpec& spec, int images);
  // The loop has decided: from now on its own reports tell.
  void OnDecided(size_t loop, int64_t number);

  // The loop predicts that one image like `spec` takes `alone` by itself.
  void OnCost(size_t loop, const JobSpec& spec, absl::Duration alone);

 private:
  struct Sent {
    int64_t number = 0;
    int images = 0;
    absl::Duration cost;
  };
  struct Loop {
    std::vector<Sent> sent = {};              // not decided yet
    absl::flat_hash_set<BatchKey> keys = {};  // sent since the loop was last idle
    absl::flat_hash_map<BatchKey, absl::Duration> row_cost = {};
  };

  absl::Duration CostOf(const Loop& loop, const JobSpec& spec) const;

  const int max_queued_jobs_;
  std::vector<Loop> loops_;
  int64_t last_number_ = 0;
  // The loop that a prompt was sent to last, for the newest prompts.
  absl::flat_hash_map<size_t, size_t> prompts_;
  std::deque<size_t> prompt_order_;
};

}  // namespace stepcast
