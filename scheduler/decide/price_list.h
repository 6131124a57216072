#pragma once
// What the work of live jobs costs, as of when prices last moved.

#include <array>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/words/work_list.h"

namespace stepcast {

// Of each tick of one line of work, seconds.
struct WorkPrice {
  double alone = 0.0;  // if nothing else is in it
  double full = 0.0;   // if all is in it that fits: of a denoise tick
  double row = 0.0;    // one row's share of such a tick, of an item's in other phases
  double brief = 0.0;  // a row's share of a denoise tick that company makes hardly longer, at least `row`
};

// Remembers what the work of live jobs costs. Prices stay as they are until one has moved by more than a tenth; then
// all are new. Whoever only asks leaves no trace: plans follow from what happened, so that a recorded run can be
// repeated.
//
// Thread-safety: none.
class PriceList {
 public:
  using Prices = std::vector<const WorkPrice*>;  // of the lines of a work list

  // `costs` must outlive the list.
  explicit PriceList(const CostModel& costs) : costs_(costs) {}

  // The prices of `work`, which stay where they are until Drop is called as often as Keep: keys come from outside, none
  // is kept for longer than it has jobs.
  Prices Keep(const WorkList& work);
  void Drop(const WorkList& work);

  // The price in use; measured now where no job has such work. Measure: now, in any case.
  WorkPrice Of(const WorkLine& line) const;
  WorkPrice Measure(const WorkLine& line) const;

  // Takes note that the costs of `key` have changed. True when prices moved, and all are new.
  bool Follow(const BatchKey& key);

 private:
  struct Kept {
    WorkLine line;
    WorkPrice price;
    std::array<double, 2> small;  // ticks of one and of two rows, then
    int jobs = 0;
  };
  using KeptOfKey = std::vector<std::unique_ptr<Kept>>;  // by row counts, in no order

  static const Kept* Find(const KeptOfKey& kept, int rows);
  std::array<double, 2> MeasureSmall(const BatchKey& key) const;
  bool Moved(const Kept& kept) const;
  bool AnyMoved(const KeptOfKey& kept) const;
  bool AnyMoved(const BatchKey& key) const;

  const CostModel& costs_;
  absl::flat_hash_map<BatchKey, KeptOfKey> kept_;
};

}  // namespace stepcast
