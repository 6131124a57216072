#pragma once
// How fast places in the queue become free: what a refused client is told to wait.

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "core/mutex.h"

namespace stepcast {

// A smoothed interval between finished images.
//
// Thread-safety: all methods may be called from any thread.
class CompletionPace {
 public:
  // An image ended at `now`, however it ended.
  void OnImageEnded(absl::Time now);

  // When `images` places should be free: 100 ms .. 30 s; 1 s while nothing is known.
  absl::Duration RetryAfter(int images) const;

 private:
  mutable Mutex mutex_;
  absl::Time last_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration interval_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();  // infinite: not known
};

}  // namespace stepcast
