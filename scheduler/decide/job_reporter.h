#pragma once
// The one voice of a job.

#include <memory>

#include "absl/status/status.h"
#include "core/job_event.h"
#include "scheduler/words/event_sink.h"
#include "scheduler/words/job.h"

namespace stepcast {

// Tells a job's sink what happens to it, and guarantees that the story ends exactly once: whoever drops a
// reporter that was not finished makes it say JobFinished{INTERNAL}.
//
// Thread-safety: none; that of its scheduler.
class JobReporter {
 public:
  explicit JobReporter(const Job& job);
  ~JobReporter();
  JobReporter(const JobReporter&) = delete;
  JobReporter& operator=(const JobReporter&) = delete;

  // REQUIRES: not finished.
  void Progress(const Job& job, int queue_position);
  void Preview(int step, SharedImage image);
  void Image(SharedImage image);
  // `state` may be null: only of a job that is handed out.
  void Saved(const Job& job, SavedState state, bool handed_out);

  // Says JobFinished and lets go of the sink. Later calls are ignored.
  void Finish(absl::Status status, const JobStatistics& statistics);

 private:
  template <typename What>
  void Tell(What what);

  const JobId job_;
  const int image_index_;
  std::shared_ptr<EventSink> sink_;  // null once finished
};

}  // namespace stepcast
