#pragma once
// All live jobs in the order in which `slo` wants them.

#include <vector>

#include "scheduler/decide/policies/on_time_order.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

// Classes one after the other; within a class tenants take turns, whoever has used least of its share first; within
// a tenant pictures that only want their decode, then the on-time order. Orders are made lane by lane, when reached.
class LaneSequence {
 public:
  // `now` in seconds since the Unix epoch; `fronts` as in OnTimeOptions. `snapshot` must outlive the sequence.
  LaneSequence(const SchedulerSnapshot& snapshot, double now, int fronts);

  // The next job, null at the end. Jobs in flight are among them.
  const JobView* Next();

  // Tells that the job Next returned last got `seconds` of device time: its tenant's turn comes later now.
  void Charge(double seconds);

 private:
  struct Turn {
    const LaneView* lane;
    double used;
    std::vector<const JobView*> finishing;
    OnTimeOrder order;
    size_t next_finishing = 0;
  };

  // Opens the next class that has jobs; false when there is none.
  bool OpenClass();

  const SchedulerSnapshot& snapshot_;
  const int fronts_;
  double start_;  // when the open class' turn comes
  size_t next_lane_ = 0;
  std::vector<Turn> turns_;  // of the open class
  size_t last_ = 0;          // whose job Next returned last
};

}  // namespace stepcast
