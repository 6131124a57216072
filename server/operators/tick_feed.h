#pragma once
// What the scheduler does, tick by tick, for whoever watches.

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/mutex.h"
#include "scheduler/decide/scheduler_observer.h"

namespace stepcast {

// One executed plan, as it was made and as it went.
struct TickRecord {
  struct Part {
    JobId job;
    int position = 0;  // evaluations done before the tick
    int evaluations = 0;
    int first_row = 0;  // of its evaluation: 0 unless that does not fit a tick
    int rows = 1;       // that the tick does
    int whole_rows = 1;
    bool failed = false;
  };

  std::string device = {};
  StepPlan plan = {};
  std::vector<Part> parts = {};  // in the plan's order
  absl::Time start = {};
  absl::Duration measured = {};
};
using SharedTick = std::shared_ptr<const TickRecord>;

// One watcher's queue. The engine puts in, the watcher's own thread takes out; what is too old is dropped and counted.
//
// Thread-safety: all methods may be called from any thread.
class TickWatch {
 public:
  // `device`: "" for all. `wake` runs, on a thread of the engine, when the queue stops being empty; it must not block.
  TickWatch(std::string device, absl::AnyInvocable<void() const> wake, size_t max_queued = 256)
      : device_(std::move(device)), wake_(std::move(wake)), max_queued_(max_queued) {}

  void Push(const SharedTick& tick);
  // The oldest tick that is left; null when there is none.
  SharedTick Take();
  int64_t dropped() const;

 private:
  const std::string device_;
  const absl::AnyInvocable<void() const> wake_;
  const size_t max_queued_;
  mutable Mutex mutex_;
  std::deque<SharedTick> queue_ ABSL_GUARDED_BY(mutex_);
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Hands each device's ticks to the watchers. While nobody watches a tick costs one atomic load.
//
// Thread-safety: all methods may be called from any thread; each observer as SchedulerObserver says.
class TickFeed {
 public:
  // The observer of one device's scheduler. The feed must outlive it.
  std::unique_ptr<SchedulerObserver> ObserverOf(const std::string& device);

  // `watch` gets every tick that is planned from now on, until Remove.
  void Add(std::shared_ptr<TickWatch> watch);
  void Remove(const std::shared_ptr<TickWatch>& watch);

 private:
  class Observer;

  void Publish(const SharedTick& tick);

  std::atomic<int> watchers_{0};
  Mutex mutex_;
  absl::flat_hash_set<std::shared_ptr<TickWatch>> watches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast
