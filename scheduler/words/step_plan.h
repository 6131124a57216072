#pragma once
// What the engine does next, as plain data.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/job_id.h"
#include "scheduler/words/batch_key.h"

namespace stepcast {

// Some rows of a job's evaluation that is too large for one tick.
struct RowPart {
  JobId job;
  int first_row = 0;
  int rows = 0;

  friend bool operator==(const RowPart&, const RowPart&) = default;
};

// One tick. Jobs are in row order, all rows of a job's evaluation side by side; an evaluation is never split while it
// fits a tick of its key.
struct StepPlan {
  int64_t id = 0;
  BatchKey key;             // its phase is the plan's phase
  std::vector<JobId> jobs;  // empty: nothing to do
  int rows = 0;             // forward rows of all jobs
  // Of jobs whose evaluation this tick does not do as a whole, in the order of `jobs`.
  std::vector<RowPart> parts;
  // Set when this plan opens a group of `request_level`: all its members, in row order.
  std::vector<JobId> group;
  // Jobs whose tensors move to host memory before this plan runs. None of them is in `jobs`.
  std::vector<JobId> evict;
  // Those of its jobs that show a preview with this tick, by id. Not in ToString.
  std::vector<JobId> previews;
  // What the cost model expects this plan to take; zero when it knows nothing of the key. Not in ToString.
  absl::Duration predicted = {};
  std::optional<absl::Time> wake_at;  // of an empty plan: look again then, even if nothing arrives

  bool empty() const { return jobs.empty(); }
  // The part of a job; null where it does all its rows.
  const RowPart* PartOf(JobId job) const;
  Phase phase() const { return key.phase; }

  // "#17 denoise:emoji:16x16 rows=5 jobs=3,4,9", with " parts=9:4+2" (rows 4 and 5 of job 9) where evaluations are
  // split, " group=3,4,9" where one opens and " evict=5,6" where jobs are parked; "idle" or
  // "idle until 1970-01-01T00:00:02+00:00" when empty. Stable, so that a run is a text log.
  std::string ToString() const;
};

}  // namespace stepcast
