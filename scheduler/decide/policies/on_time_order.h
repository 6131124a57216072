#pragma once
// In which order the jobs of one lane should run so that few are late and the mean wait is short.

#include <vector>

#include "absl/types/span.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

struct OnTimeOptions {
  double start = 0.0;  // seconds since the Unix epoch: when the lane's turn comes
  double share = 1.0;  // of the device, (0, 1]
  int fronts = 16;     // most jobs that may be put in front of the on-time set
};

// The order:
//   1. Jobs that can still meet their deadline, earliest deadline first, as long as all of them fit (Moore and
//      Hodgson: when one does not, the longest so far is given up) are the on-time set.
//   2. Shortest first, any job goes to the front as long as nobody of the on-time set becomes late by it.
//   3. Then the on-time set by deadline, then the rest, shortest first.
// Of every job `work` is what it takes from the device. Made in one pass over the lane; the tail is found when asked
// for.
class OnTimeOrder {
 public:
  // REQUIRES: the spans hold the same jobs, as in LaneView, and outlive the order.
  OnTimeOrder(absl::Span<const JobView* const> by_due, absl::Span<const JobView* const> by_work,
              const OnTimeOptions& options);

  // The next job; null at the end.
  const JobView* Next();

 private:
  struct Seat {
    const JobView* view;
    double slack;  // seconds by which it is early; infinite once it went to the front
    double least;  // the least slack up to here
    bool in_front;
  };

  void ChooseOnTime(absl::Span<const JobView* const> by_due, const OnTimeOptions& options);
  void ChooseFronts(const OnTimeOptions& options);
  size_t RankOf(const JobView& view) const;
  bool Holds(size_t rank, const JobView& view) const { return rank < seats_.size() && seats_[rank].view == &view; }

  absl::Span<const JobView* const> by_work_;
  std::vector<Seat> seats_;  // the on-time set, by deadline
  std::vector<const JobView*> fronts_;
  size_t next_front_ = 0;
  size_t next_seat_ = 0;
  size_t next_rest_ = 0;
};

}  // namespace stepcast
