#pragma once
// In which order the jobs of one lane should run so that few are late and the mean wait is short.

#include <vector>

#include "absl/types/span.h"
#include "scheduler/decide/policies/on_time_set.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

struct OnTimeOptions {
  double start = 0.0;  // seconds since the Unix epoch: when the lane's turn comes
  FairPace pace = {};  // of the lane from then on
  int fronts = 16;     // most jobs that may be put in front of the on-time set
};

// The order:
//   1. Shortest first, any job goes to the front as long as nobody of the on-time set becomes late by it.
//   2. Then the on-time set by deadline, then the rest, shortest first.
// Made in one pass over the lane; the tail is found when asked for.
class OnTimeOrder {
 public:
  // REQUIRES: the spans hold the same jobs, as in LaneView, and outlive the order.
  OnTimeOrder(absl::Span<const JobView* const> by_due, absl::Span<const JobView* const> by_work,
              const OnTimeOptions& options);

  // The next job; null at the end.
  const JobView* Next();
  bool IsOnTime(const JobView& view) const { return set_.Holds(view); }

 private:
  OnTimeSet set_;
  absl::Span<const JobView* const> by_work_;
  std::vector<const JobView*> fronts_;
  size_t next_front_ = 0;
  size_t next_rest_ = 0;
};

}  // namespace stepcast
