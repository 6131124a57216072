#pragma once
// The seam between deciding and doing.

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/image.h"
#include "scheduler/job.h"
#include "scheduler/step_plan.h"

namespace stepcast {

// What one tick did to one job.
struct StepResult {
  absl::Status status = {};  // not OK: this job has failed and is told so; its neighbours go on
  SharedImage preview = {};  // kDenoise, when Job::preview_due(); may be null
  SharedImage image = {};    // kDecode: the finished picture
};

// How much fits in one tick.
struct ExecutorLimits {
  int max_denoise_rows = 16;  // >= 2, so that a guided job always fits
  int max_encode_jobs = 8;    // >= 1
  int max_decode_jobs = 4;    // >= 1; previews are decodes too

  // Forward rows that fit one tick of `phase`. Outside denoising a job is one row.
  int RowCap(Phase phase) const {
    switch (phase) {
      case Phase::kEncode:
        return max_encode_jobs;
      case Phase::kDenoise:
        return max_denoise_rows;
      case Phase::kPreview:
      case Phase::kDecode:
        break;
    }
    return max_decode_jobs;
  }
};

// Runs plans. DiffusionExecutor (engine/) is the real one, FakeExecutor (tests/support/) a scripted one.
//
// Thread-safety: all methods are called on one thread, the engine thread.
class StepExecutor {
 public:
  virtual ~StepExecutor() = default;

  // Prepares a job that was just admitted. Cheap: look-ups only, no forward. Pins cached embeddings; when all
  // are there, calls job.set_needs_encode(false). Errors fail this job only.
  virtual absl::Status Start(Job& job) = 0;

  // Runs one plan and returns one result per job, in the plan's order. Advances nothing: positions belong to
  // the scheduler. A job's failure is its result's status; a status for the whole batch (a lost device, a
  // forward that failed) is repeated in each.
  // REQUIRES: plan.jobs[i] == jobs[i]->id(), not empty.
  virtual std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) = 0;

  // Constant over the executor's life.
  virtual ExecutorLimits Limits() const = 0;
};

}  // namespace stepcast
