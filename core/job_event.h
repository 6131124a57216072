#pragma once
// What happens to a job, as told to whoever asked for it.

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/image.h"
#include "core/job_id.h"

namespace stepcast {

// What an executor made of a job, in its own words; never null inside an event that has one.
using SavedState = std::shared_ptr<const std::string>;

// An evaluation finished, or the job still waits (evaluations_done == 0).
struct JobProgress {
  int step = 0;              // finished steps
  int steps = 0;             // of the whole image
  int evaluations_done = 0;  // finished denoiser evaluations
  int evaluations_total = 0;
  int queue_position = 0;  // jobs ahead that have not started; 0 once running
};

// The current estimate of the finished picture.
struct JobPreview {
  int step = 0;  // finished steps
  SharedImage image;
};

// The finished picture. Followed by JobFinished.
struct JobImage {
  SharedImage image;
};

// An unfinished picture as it can go on elsewhere (ResumePoint). When the job is handed out, JobFinished (UNAVAILABLE)
// follows; else it is a checkpoint.
struct JobSaved {
  int evaluations_done = 0;
  int evaluations_total = 0;  // of the whole image
  SavedState state;           // null: nothing is worth keeping, so that it goes on from the start
  bool handed_out = false;
};

// What a job itself took of a device, whatever company it had.
struct DeviceCost {
  int64_t row_evaluations = 0;  // rows of its own that went through the denoiser: a guided evaluation is two
  absl::Duration device_time;   // its share of all its ticks, by rows; the shares of a tick sum to the tick

  DeviceCost& operator+=(const DeviceCost& other) {
    row_evaluations += other.row_evaluations;
    device_time += other.device_time;
    return *this;
  }
};

// Where a job's time went and in what company.
struct JobStatistics {
  absl::Duration queued;   // from arrival to the first tick that worked on it
  absl::Duration encode;   // ticks spent on the text encoder with this job in them
  absl::Duration denoise;  // ticks spent in the denoiser with this job in them
  absl::Duration decode;   // ticks spent in the latent codec with this job in them
  int evaluations = 0;
  int64_t rows_in_company = 0;  // sum over its denoise ticks of all rows in the tick
  int denoise_ticks = 0;
  DeviceCost cost = {};
};

// The one terminal event. OK: JobImage came before it. CANCELLED, DEADLINE_EXCEEDED, or what went wrong.
struct JobFinished {
  absl::Status status;
  JobStatistics statistics;
};

// One event of one job.
struct JobEvent {
  JobId job;
  int image_index = 0;  // 0 .. image_count - 1 within the request
  std::variant<JobProgress, JobPreview, JobImage, JobSaved, JobFinished> what;
};

}  // namespace stepcast
