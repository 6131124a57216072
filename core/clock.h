#pragma once
// The one door through which time enters. Nothing else in the project may read a system clock or sleep.

#include "absl/time/time.h"

namespace stepcast {

// A source of time. Values never go backwards.
//
// Thread-safety: all methods may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // The current time. Wall time at process start plus monotonic time since, so a jump of the system's
  // clock neither ages nor rejuvenates a job.
  virtual absl::Time Now() const = 0;
};

// The process-wide clock of the machine; lives for ever.
const Clock& RealClock();

}  // namespace stepcast
