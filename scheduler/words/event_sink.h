#pragma once
// Where a job's events go.

#include "core/job_event.h"

namespace stepcast {

// Receives the events of the jobs of one request. Implementations queue and return: a sink that blocked
// would stall every other request.
//
// Each job ends in exactly one JobFinished, also after a cancel, a failed start or a lost device.
//
// Thread-safety: called on one of its loop's two threads with the loop's lock held, one event at a time per loop; jobs
// of one request may live on different loops, so OnEvent may be called concurrently. It may post to any loop.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void OnEvent(JobEvent event) = 0;
};

}  // namespace stepcast
