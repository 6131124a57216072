#pragma once
// The books of one request: which images ended how, and what the whole took.

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/job_event.h"
#include "server/telemetry/logging.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// Keeps count for one request of n images.
//
// Thread-safety: none; its owner locks.
class RequestTally {
 public:
  // REQUIRES: images >= 1.
  RequestTally(int images, absl::Time arrival);

  // A step was made, or the image still waits.
  void OnProgress(int image_index, const JobProgress& progress, absl::Time now);
  // The image's one terminal event. An image that cannot be encoded afterwards fails with OnFailure instead.
  void OnFinished(int image_index, const absl::Status& status, const JobStatistics& statistics);
  // The image failed after its job had succeeded.
  void OnFailure(int image_index, const absl::Status& status);

  // Time until the image is done, at its own pace since its first evaluation; nullopt until there is a pace.
  std::optional<absl::Duration> Eta(int image_index, absl::Time now) const;

  bool all_finished() const { return finished_ == static_cast<int>(images_.size()); }
  bool succeeded(int image_index) const;

  // OK when every image succeeded; else the error of the first that failed, made fit for clients, with the indices of
  // all that failed where there is more than one image. REQUIRES: all_finished().
  absl::Status Result() const;

  int64_t evaluations() const;    // finished, of all images
  int steps_done() const;         // by the image that came furthest
  absl::Duration queued() const;  // of the image that waited longest
  v1::Timings TimingsAt(absl::Time now) const;
  v1::BatchStatistics Batch() const;
  v1::Cost Cost() const;
  // Of the images that have ended; a cancelled call ends before its jobs. Stages are those of the one that ended last.
  CallWork Work() const;

 private:
  struct ImageBooks {
    JobProgress progress;
    absl::Time first_at = absl::InfiniteFuture();  // of the first progress with an evaluation in it
    int first_done = 0;
    bool finished = false;
    absl::Status status;
    JobStatistics statistics;
  };

  const absl::Time arrival_;
  std::vector<ImageBooks> images_;
  int finished_ = 0;
  int last_finished_ = 0;
};

}  // namespace stepcast
