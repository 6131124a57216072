#pragma once
// What must always be true of a scheduler, as its own bookkeeper.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "scheduler/decide/policy.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// Follows a scheduler's calls in books of its own and compares them with what the scheduler shows:
//   - a live job is in at most one plan that has not completed;
//   - a planned job advances by exactly one tick of its work, or leaves; no other job moves, but a job may be told
//     before its first plan that it needs fewer encodes;
//   - an evaluation is split only where it does not fit a tick, and its parts follow one another;
//   - a plan has one key, and its rows are its jobs' rows and fit the limits;
//   - a job told to leave is never planned again and is gone once its plan has completed;
//   - each admitted job is live or has ended, never both, and ends once;
//   - whom a plan parks is running, in no plan and not in this one; a parked job is not on the device;
//   - the snapshot's orders, lanes, keys and counters agree with the jobs.
//
// The first violation is kept; everything after it is noise. Check is linear in the live jobs.
//
// Thread-safety: none.
class SchedulerInvariants {
 public:
  void Admitted(const Job& job);
  void EncodesOnly(const Job& job);
  void ToldToLeave(JobId job);
  void Planned(const StepPlan& plan, const ExecutorLimits& limits);
  void Completed(const StepPlan& plan);
  void Ended(JobId job);

  // OK, or INTERNAL with the first violation. Call it between the scheduler's calls.
  absl::Status Check(const SchedulerSnapshot& snapshot);

  int64_t admitted() const { return admitted_; }
  int64_t ended() const { return ended_; }

 private:
  struct Books {
    const Job* job = nullptr;
    int ticks = 0;      // encodes aside
    int rows_done = 0;  // of the next evaluation
    std::vector<int> to_encode;
    int64_t in_plan = 0;  // 0: in none
    bool leaving = false;
    int rows = 0;  // of the evaluation that the plan it is in works on
  };

  int RowsIn(const StepPlan& plan, const Books& books);
  void Violated(std::string what);
  void CheckJob(const JobView& view);
  void CheckKeys(const SchedulerSnapshot& snapshot);
  void CheckLanes(const SchedulerSnapshot& snapshot);
  void CheckResidents(const SchedulerSnapshot& snapshot);

  absl::flat_hash_map<JobId, Books> live_;
  int64_t admitted_ = 0;
  int64_t ended_ = 0;
  int64_t newest_plan_ = 0;
  absl::Status violation_;
};

}  // namespace stepcast
