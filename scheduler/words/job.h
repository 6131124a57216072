#pragma once
// One image in the making. scheduler/README.md tells the life of a job.

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/generation_request.h"
#include "core/job_event.h"
#include "core/job_id.h"
#include "scheduler/words/job_spec.h"
#include "scheduler/words/job_state.h"
#include "scheduler/words/job_status.h"

namespace stepcast {

// A job. Owned by its StepScheduler from Submit to its terminal event.
//
// Thread-safety: none; its scheduler's owner locks. During a tick the executor reads its jobs without the lock, and
// nobody writes to them.
class Job {
 public:
  // REQUIRES: spec.request, spec.work and spec.sink are set.
  Job(JobId id, JobSpec spec);

  JobId id() const { return id_; }
  const JobSpec& spec() const { return spec_; }
  const GenerationRequest& request() const { return *spec_.request; }
  const WorkList& work() const { return *spec_.work; }
  // For the executor alone: the stage that the job is in, and its next evaluation. REQUIRES: spec.recipe is set;
  // !done(); the next item that is no encode is of kDenoise.
  const sampling::Stage& stage() const { return spec_.recipe->stages[static_cast<size_t>(after_encodes().stage)]; }
  const sampling::Evaluation& evaluation() const {
    return stage().program->evaluations[static_cast<size_t>(after_encodes().first + done_)];
  }

  // Seed of this image: the request's seed + image index.
  int64_t seed() const { return spec_.request->seed + spec_.image_index; }

  JobStatus status() const { return status_; }

  // Moves to `next`; returns FAILED_PRECONDITION and changes nothing when the table forbids it.
  absl::Status MoveTo(JobStatus next);

  // Index of the next evaluation; work().evaluations() when all are done.
  int position() const { return position_; }
  // Of the whole picture, with what was done before it was resumed.
  int evaluations_done() const { return work().evaluations_before() + position_; }
  int evaluations_total() const { return work().evaluations_before() + work().evaluations(); }
  // Ticks done, encodes aside.
  int ticks() const { return ticks_; }
  // Whether no evaluation is left; whether nothing is.
  bool denoised() const { return position_ == work().evaluations(); }
  bool done() const { return place_ == work().items().size(); }
  // Whether only the last decode is missing, and what follows it.
  bool finishing() const { return denoised() && position_ > 0 && !needs_encode(); }

  // Takes note that one tick of what the job waits for is done: all its rows(), or a part of an evaluation that does
  // not fit a tick. REQUIRES: !done(); 1 <= rows <= rows().
  void Advance() { Advance(rows()); }
  void Advance(int rows);

  // Ticks left of a line of work(); evaluations left; and those of them until the key changes.
  int left(size_t line) const { return left_[line]; }
  int evaluations_left() const { return work().evaluations() - position_; }
  int evaluations_here() const;

  // Steps whose evaluations are all done, 0..work().steps().
  int finished_steps() const;

  // Items of work() that are still to be encoded, ascending. All of them until the executor has looked.
  const std::vector<int>& to_encode() const { return to_encode_; }
  // REQUIRES: ascending indices of items that encode (IsEncode).
  void set_to_encode(std::vector<int> items);
  // True while that keeps the job from its next tick.
  bool needs_encode() const { return !to_encode_.empty() && static_cast<size_t>(to_encode_.front()) < place_; }
  // All is to be encoded, or nothing.
  void set_needs_encode(bool value);

  // What the job waits for, its phase and its key. REQUIRES: !done().
  size_t place() const { return needs_encode() ? static_cast<size_t>(to_encode_.front()) : place_; }
  const WorkItem& next() const { return work().items()[place()]; }
  Phase phase() const { return next().key.phase; }
  const BatchKey& key() const { return next().key; }

  // What follows once nothing is to be encoded, and its ticks that are done. REQUIRES: !done().
  size_t place_but_encodes() const { return place_; }
  const WorkItem& after_encodes() const { return work().items()[place_]; }
  int done_of_item() const { return done_; }
  bool on_last_tick() const {
    return place_ + 1 == work().items().size() && done_ + 1 == after_encodes().count && !needs_encode();
  }

  // Forward rows of the next tick if it has room for them all: those of the next evaluation that are not done while
  // denoising, 1 otherwise.
  int rows() const { return next().rows - (needs_encode() ? 0 : rows_done_); }
  int rows_done() const { return rows_done_; }
  // An evaluation that was begun begins anew: what its rows came to is lost.
  void DropRows() { rows_done_ = 0; }

  // Whether the evaluation at position() ends a step for which the request wants a preview. The last step
  // never does: the picture itself follows. REQUIRES: phase() == kDenoise.
  bool preview_due() const;

  // Whether what the evaluation at position() leads to is to be a checkpoint. REQUIRES: phase() == kDenoise.
  bool checkpoint_due() const;

  // Whether the executor makes a preview in this tick: what the scheduler said, else whether one is due.
  bool shows_preview() const { return shows_preview_.has_value() ? *shows_preview_ : preview_due(); }
  void set_shows_preview(bool value) { shows_preview_ = value; }

  // The executor's state; null until the executor made it.
  JobState* state() const { return state_.get(); }
  void set_state(std::unique_ptr<JobState> state) { state_ = std::move(state); }
  std::unique_ptr<JobState> TakeState() { return std::move(state_); }

  JobStatistics& statistics() { return statistics_; }
  const JobStatistics& statistics() const { return statistics_; }
  // Books one tick of `rows` rows in its statistics, of which it had `share`.
  void CountTick(Phase phase, int rows, absl::Duration elapsed, const DeviceCost& share);
  // When the first plan with this job was made; infinite future while it waits.
  absl::Time started() const { return started_; }
  void set_started(absl::Time at) { started_ = at; }

 private:
  // Puts place_ on the next item that is no encode.
  void PassEncodes();

  const JobId id_;
  const JobSpec spec_;
  JobStatus status_ = JobStatus::kWaiting;
  size_t place_ = 0;   // item of work(), no encode
  int done_ = 0;       // ticks of it
  int rows_done_ = 0;  // of the evaluation at done_
  int ticks_ = 0;
  int position_ = 0;
  std::vector<int> to_encode_;
  std::vector<int> left_;              // ticks, by line of work()
  std::optional<bool> shows_preview_;  // of the tick at position_
  absl::Time started_ = absl::InfiniteFuture();
  JobStatistics statistics_;
  std::unique_ptr<JobState> state_;
};

}  // namespace stepcast
