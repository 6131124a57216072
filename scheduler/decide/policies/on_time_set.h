#pragma once
// Which jobs can all be done by their deadlines, and how long they can wait for others.

#include <vector>

#include "absl/types/span.h"
#include "scheduler/decide/policies/fair_pace.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

// Made in one pass over jobs by deadline: those that fit one behind the other (Moore and Hodgson: when one does not,
// the dearest so far is given up). Jobs whose deadline is only a wish of ours are in it as far as they fit between
// those with a client's.
//
// What a job costs is what it takes from the device in full batches. One whose client's deadline leaves no time for
// full batches costs more, because its ticks must be short, up to the device for itself; one that has not even begun
// and is so late that it could be begun only in short ticks is the first to be given up.
class OnTimeSet {
 public:
  // `by_due` as in LaneView; `start`: seconds since the Unix epoch, when the jobs' turn comes; `pace` of their work
  // from then on. The span must outlive the set.
  OnTimeSet(absl::Span<const JobView* const> by_due, double start, const FairPace& pace);

  bool Holds(const JobView& view) const;
  // Puts a job, of the set or not, in front of all others; false, and nothing changes, when somebody of the set would
  // become late by it.
  bool PutInFront(const JobView& view);
  // The next of the set by deadline that was not put in front; null at the end.
  const JobView* Next();
  bool empty() const { return seats_.empty(); }

 private:
  struct Seat {
    const JobView* view = nullptr;
    double cost = 0.0;
    double room = 0.0;   // work that is done by its deadline
    double slack = 0.0;  // what of that is free; infinite once it went to the front
    double least = 0.0;  // the least slack up to here
    bool in_front = false;
  };

  void GiveUp(bool firm);
  void SumUp();
  size_t RankOf(const JobView& view) const;

  double start_;
  std::vector<Seat> seats_;  // by deadline
  size_t next_ = 0;
};

}  // namespace stepcast
