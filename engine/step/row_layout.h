#pragma once
// Which rows of a forward belong to which job.

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "engine/job/active_job.h"

namespace stepcast::engine {

// The rows of each job side by side, jobs in their order.
struct RowLayout {
  std::vector<int64_t> job_of_row;  // [R]
  // [N]: first and last row of each job. Of plain jobs (sampling::IsPlain): the unconditional and the conditional one,
  // which are one where the job is not guided.
  std::vector<int64_t> uncond_row;
  std::vector<int64_t> cond_row;
  bool any_guided = false;  // some plain job has two rows
  bool all_guided = true;   // all are plain and have two
  bool all_plain = true;
  bool any_window = false;  // some row sees a part of its picture only

  static RowLayout Of(absl::Span<const ActiveJob> jobs);

  int64_t rows() const { return static_cast<int64_t>(job_of_row.size()); }
  int64_t jobs() const { return static_cast<int64_t>(cond_row.size()); }
  int64_t rows_of(size_t job) const { return cond_row[job] - uncond_row[job] + 1; }
};

}  // namespace stepcast::engine
