#pragma once
// Every streaming or painting call that is not done: a call that never finished would make the server's stop hang.

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/mutex.h"

namespace stepcast {

// A call that can be ended from outside.
//
// Thread-safety: implementations take calls from any thread.
class LiveCall {
 public:
  virtual ~LiveCall() = default;

  // Frees what the call holds and ends it with `reason`, unless it has ended. May be repeated.
  virtual void Cancel(const absl::Status& reason) = 0;

  // Ends the call if its client has stopped reading for too long.
  virtual void CheckStall(absl::Time now) = 0;
};

// The set of them.
//
// Thread-safety: all methods may be called from any thread; none calls out with the lock held.
class LiveCalls {
 public:
  // `on_empty` runs, on any thread, whenever the last call leaves.
  explicit LiveCalls(absl::AnyInvocable<void() const> on_empty = [] {}) : on_empty_(std::move(on_empty)) {}

  // After Close, a call that comes in is cancelled at once with the closing reason.
  void Add(const std::shared_ptr<LiveCall>& call);
  void Remove(const std::shared_ptr<LiveCall>& call);

  int size() const;
  // Waits until there is none. Returns false after `patience`.
  bool AwaitNone(absl::Duration patience);
  void CheckStalls(absl::Time now);

  // Cancels all calls, now and to come.
  void Close(const absl::Status& reason);

 private:
  const absl::AnyInvocable<void() const> on_empty_;
  mutable Mutex mutex_;
  CondVar emptied_;
  absl::flat_hash_set<std::shared_ptr<LiveCall>> calls_ ABSL_GUARDED_BY(mutex_);
  absl::Status closed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast
