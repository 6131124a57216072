#pragma once
// A sink that remembers.

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "core/job_event.h"
#include "core/mutex.h"
#include "scheduler/words/event_sink.h"

namespace stepcast {

// Keeps every event in order of arrival and lets a test wait for some.
//
// Thread-safety: every method may be called from any thread.
class RecordingSink final : public EventSink {
 public:
  void OnEvent(JobEvent event) override;

  std::vector<JobEvent> events() const;

  // The events of one kind and one job, in order.
  template <typename What>
  std::vector<What> Of(JobId job) const {
    std::vector<What> found;
    for (const JobEvent& event : events()) {
      if (event.job != job) continue;
      if (const What* what = std::get_if<What>(&event.what)) found.push_back(*what);
    }
    return found;
  }

  // The terminal status of a job; nullopt while it lives.
  std::optional<absl::Status> StatusOf(JobId job) const;

  // One word per event of a job: "progress 1/4", "preview 2", "image", "finished OK".
  std::vector<std::string> Story(JobId job) const;

  // Waits until `count` jobs have ended / `count` events have come. False after a minute, which means never.
  [[nodiscard]] bool AwaitFinished(int count) const;
  [[nodiscard]] bool AwaitEvents(int count) const;

  int finished() const;

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::vector<JobEvent> events_ ABSL_GUARDED_BY(mutex_);
  int finished_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace stepcast
