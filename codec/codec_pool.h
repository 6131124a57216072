#pragma once
// A few threads that encode pictures, so that neither the engine nor gRPC threads do.

#include <memory>

#include "absl/functional/any_invocable.h"

namespace stepcast {

// A bounded pool of worker threads.
//
// Thread-safety: all methods may be called from any thread.
class CodecPool {
 public:
  // `threads` 1..64, `max_queued` >= 1. Workers run at a lower scheduling priority than the engine.
  CodecPool(int threads, int max_queued);
  // Runs what is queued, then joins.
  ~CodecPool();

  // Queues `work`; returns false, dropping it, when the queue is full. Work must not throw.
  bool TryPost(absl::AnyInvocable<void() &&> work);

  // Queues `work` even beyond max_queued: for finished pictures, which are never dropped and whose number
  // admission bounds already.
  void Post(absl::AnyInvocable<void() &&> work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stepcast
