#pragma once
// The seam between deciding and doing.

#include <limits>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/image.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// What one tick did to one job.
struct StepResult {
  absl::Status status = {};  // not OK: this job has failed and is told so; its neighbours go on
  SharedImage preview = {};  // kDenoise, when Job::shows_preview(); may be null
  SharedImage image = {};    // kDecode: the finished picture
  SavedState saved = {};     // kDenoise, when Job::checkpoint_due() and the evaluation is done; may be null
};

// How much fits in one tick.
struct ExecutorLimits {
  int max_denoise_rows = 16;        // >= 2, so that a guided job always fits
  int max_encode_jobs = 8;          // >= 1
  int max_decode_jobs = 4;          // >= 1; previews are decodes too
  int max_encode_picture_jobs = 4;  // >= 1
  int max_upscale_jobs = 1;         // >= 1
  // 0: free mode. Else strict: every denoise forward has exactly this many rows (the executor pads), and encodes
  // and decodes run one item at a time. >= 2.
  int strict_rows = 0;
  // Started jobs whose tensors may be on the device at once, >= 1; more are parked.
  int max_resident_jobs = std::numeric_limits<int>::max();

  // Forward rows that fit one tick of `phase`. Outside denoising a job is one row.
  int RowCap(Phase phase) const {
    if (strict_rows > 0) return phase == Phase::kDenoise ? strict_rows : 1;
    switch (phase) {
      case Phase::kEncode:
        return max_encode_jobs;
      case Phase::kEncodePicture:
        return max_encode_picture_jobs;
      case Phase::kUpscale:
        return max_upscale_jobs;
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

  // Prepares a job that was just admitted. Cheap: look-ups only, no forward. Pins cached embeddings, and tells the job
  // which of its encodes are left (Job::set_to_encode). Errors fail this job only.
  virtual absl::Status Start(Job& job) = 0;

  // Runs one plan and returns one result per job, in the plan's order. Advances nothing: positions belong to
  // the scheduler. A job's failure is its result's status; a status for the whole batch (a lost device, a
  // forward that failed) is repeated in each.
  // REQUIRES: plan.jobs[i] == jobs[i]->id(), not empty.
  virtual std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) = 0;

  // Constant over the executor's life.
  virtual ExecutorLimits Limits() const = 0;

  // Runs one throw-away tick with `rows` forward rows, for the profiler; touches no job.
  // Errors: UNIMPLEMENTED when the executor has none; RESOURCE_EXHAUSTED when that many rows do not fit.
  virtual absl::Status RunSynthetic(const BatchKey& /*key*/, int /*rows*/) {
    return absl::UnimplementedError("this executor runs no synthetic ticks");
  }

  // Moves a job's tensors to host memory. The next Execute with the job brings them back, unchanged. An error
  // fails this job only. The job itself may end meanwhile.
  virtual absl::Status Park(JobState& /*state*/) { return absl::OkStatus(); }

  // What the next Start needs to go on with the job where it is, at whole evaluations: ResumePoint::state of a request.
  // Null: nothing that the start would not make again. Changes nothing. Errors: what kept it from being read.
  virtual absl::StatusOr<SavedState> Save(const Job& /*job*/) { return SavedState(); }

  // No job is left: a good moment to give memory back. Called once each time it comes to that.
  virtual void OnIdle() {}

  // Rows that fitted when a tick of `key` ran out of memory and was split; once per event, nullopt otherwise.
  virtual std::optional<int> TakeMemoryCap(const BatchKey& /*key*/) { return std::nullopt; }
};

}  // namespace stepcast
