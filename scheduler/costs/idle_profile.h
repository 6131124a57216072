#pragma once
// Getting to know work that came while the device serves, in moments when it has nothing else to do.

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/words/batch_key.h"

namespace stepcast {

// Synthetic ticks still to be run, one at a time, so that whoever comes meanwhile waits for one at most: each key's
// first is thrown away, then one job, a full tick, and halves of that.
//
// Thread-safety: none; that of its loop.
class IdleProfile {
 public:
  struct Tick {
    BatchKey key;
    int rows = 0;
    bool counts = true;  // false: the first of its key, which pays for what the libraries do once
  };

  // Of each batch of keys that is added, `budget` of device time is spent; what is left then is not measured.
  explicit IdleProfile(absl::Duration budget) : budget_(budget) {}

  // Adds those of `keys` that `costs` does not know.
  void Add(const std::vector<BatchKey>& keys, const CostModel& costs);

  // The next one; nullopt when there is none.
  std::optional<Tick> Next() const;

  // What came of it. Returns what is known of its key now: points, or rows that fit where memory ran out; nullopt for
  // nothing new. Any other failure ends the profile of the key's model.
  std::optional<CostEntry> OnRan(const absl::Status& status, absl::Duration took);

 private:
  const absl::Duration budget_;
  absl::Duration left_ = absl::ZeroDuration();
  std::deque<Tick> ticks_;
  std::map<BatchKey, std::vector<CostPoint>> points_;
};

}  // namespace stepcast
