#pragma once
// How large one tick may be.

#include "scheduler/costs/cost_model.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

// Fills one tick job by job and keeps it short enough for the deadlines of those already in it.
//
// A job with a client's deadline allows ticks up to (target - now - the rest) / its evaluations: as long as all of its
// ticks are no longer, it is in time. One that has used up its reserve allows no more rows than it came with, one that
// is late anyway allows everything. Soft deadlines of our own shape nothing.
class BatchShape {
 public:
  static constexpr double kCostly = 1.25;  // company that makes a tick longer than this is no small thing

  // `limit`: most rows; `now` in seconds since the Unix epoch. Both references must outlive the shape.
  BatchShape(const CostModel& costs, const BatchKey& key, int limit, double now);

  // Adds a job, unless its rows do not fit or somebody in the tick would become late by it.
  bool Add(const JobView& view) { return Add(view, view.rows, view.job->evaluations_here()); }
  // A job that is late whatever this tick does: its deadline shapes nothing.
  bool AddLate(const JobView& view) { return Add(view, view.rows, 0); }
  // The same for a job that will have `evaluations` of `rows` rows of this key left.
  bool Add(const JobView& view, int rows, int evaluations);

  bool full() const { return rows_ >= limit_; }
  int room() const { return limit_ - rows_; }
  int rows() const { return rows_; }
  double seconds() const { return seconds_; }

 private:
  const CostModel& costs_;
  const BatchKey& key_;
  const int limit_;
  const double now_;
  int rows_ = 0;
  double seconds_ = 0.0;
  double most_seconds_;                      // a tick may take
  double most_for_lower_;                    // and if it is a less urgent job that joins
  Priority most_urgent_ = Priority::kBatch;  // class of those who set the two
  double undisturbed_;                       // a tick of those without a client's deadline, and of whoever is before
  Priority soft_class_ = Priority::kBatch;   // the most urgent class of those
};

}  // namespace stepcast
