#pragma once
// One image in the making. scheduler/README.md tells the life of a job.

#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/generation_request.h"
#include "core/job_event.h"
#include "core/job_id.h"
#include "sampling/sampling_program.h"
#include "scheduler/words/batch_key.h"
#include "scheduler/words/event_sink.h"

namespace stepcast {

enum class JobStatus { kWaiting, kEncoding, kRunning, kParked, kDecoding, kSucceeded, kFailed, kCancelled, kExpired };

// "waiting", "encoding", ...
std::string_view JobStatusName(JobStatus status);

// The one transition table. Terminal states lead nowhere.
bool CanMove(JobStatus from, JobStatus to);
bool IsTerminal(JobStatus status);

// What a waiting job becomes when its first plan is of `phase`.
JobStatus FirstStatus(Phase phase);

// What an executor keeps for a job: slots, noise generator, pinned embeddings. Opaque to the scheduler;
// destroying it frees its tensors. Made and destroyed on the engine thread.
class JobState {
 public:
  virtual ~JobState() = default;
};

// Everything about a job that is fixed when it is admitted.
struct JobSpec {
  SharedRequest request = {};
  int image_index = 0;  // 0 .. request->image_count - 1
  sampling::SharedProgram program = {};
  absl::Time arrival = absl::InfinitePast();
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<EventSink> sink = {};
};

// Evaluations by the rows they occupy.
struct RowCounts {
  int single = 0;  // of one row
  int guided = 0;  // of two

  int evaluations() const { return single + guided; }
  int rows() const { return single + 2 * guided; }
};
RowCounts CountRows(const sampling::SamplingProgram& program);

// The key of any job of `request` while it waits for `phase`.
BatchKey KeyOf(const GenerationRequest& request, Phase phase);

// A job. Owned by its StepScheduler from Submit to its terminal event.
//
// Thread-safety: none; its scheduler's owner locks. During a tick the executor reads its jobs without the lock, and
// nobody writes to them.
class Job {
 public:
  // REQUIRES: spec.request, spec.program and spec.sink are set.
  Job(JobId id, JobSpec spec);

  JobId id() const { return id_; }
  const JobSpec& spec() const { return spec_; }
  const GenerationRequest& request() const { return *spec_.request; }
  const sampling::SamplingProgram& program() const { return *spec_.program; }

  // Seed of this image: the request's seed + image index.
  int64_t seed() const { return spec_.request->seed + spec_.image_index; }

  JobStatus status() const { return status_; }

  // Moves to `next`; returns FAILED_PRECONDITION and changes nothing when the table forbids it.
  absl::Status MoveTo(JobStatus next);

  // Index of the next evaluation; program().evaluations.size() when all are done.
  int position() const { return position_; }
  bool denoised() const { return position_ == static_cast<int>(program().evaluations.size()); }
  void Advance();

  // Evaluations from position() to the end.
  RowCounts left() const { return left_; }

  // Steps whose evaluations are all done, 0..program().steps.
  int finished_steps() const;

  // True until the job's conditioning is ready.
  bool needs_encode() const { return needs_encode_; }
  void set_needs_encode(bool value) { needs_encode_ = value; }

  // The phase the job waits for, and its key there. REQUIRES: not terminal.
  Phase phase() const;
  BatchKey key() const;

  // Forward rows of the next tick: rows of the next evaluation while denoising, 1 otherwise.
  int rows() const;

  // Whether the evaluation at position() ends a step for which the request wants a preview. The last step
  // never does: the picture itself follows. REQUIRES: phase() == kDenoise.
  bool preview_due() const;

  // Whether the executor makes a preview in this tick: what the scheduler said, else whether one is due.
  bool shows_preview() const { return shows_preview_.has_value() ? *shows_preview_ : preview_due(); }
  void set_shows_preview(bool value) { shows_preview_ = value; }

  // The executor's state; null until the executor made it.
  JobState* state() const { return state_.get(); }
  void set_state(std::unique_ptr<JobState> state) { state_ = std::move(state); }
  std::unique_ptr<JobState> TakeState() { return std::move(state_); }

  JobStatistics& statistics() { return statistics_; }
  const JobStatistics& statistics() const { return statistics_; }
  // Books one tick of `rows` rows in its statistics.
  void CountTick(Phase phase, int rows, absl::Duration elapsed);
  // When the first plan with this job was made; infinite future while it waits.
  absl::Time started() const { return started_; }
  void set_started(absl::Time at) { started_ = at; }

 private:
  const JobId id_;
  const JobSpec spec_;
  JobStatus status_ = JobStatus::kWaiting;
  int position_ = 0;
  RowCounts left_;
  bool needs_encode_ = true;
  std::optional<bool> shows_preview_;  // of the tick at position_
  absl::Time started_ = absl::InfiniteFuture();
  JobStatistics statistics_;
  std::unique_ptr<JobState> state_;
};

}  // namespace stepcast
