#pragma once
// What a job is to its executor.

namespace stepcast {

// What an executor keeps for a job: slots, noise generator, pinned embeddings. Opaque to the scheduler;
// destroying it frees its tensors. Made and destroyed on the engine thread.
class JobState {
 public:
  virtual ~JobState() = default;
};

}  // namespace stepcast
