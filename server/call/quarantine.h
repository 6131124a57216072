#pragma once
// Requests that made the engine fail are refused for a while.

#include <deque>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "stepcast/v1/image_generation.pb.h"

namespace prometheus {
class Counter;
class Registry;
}  // namespace prometheus

namespace stepcast {

// Knows pictures by PictureDigest: what decides them. A client that asks for such a picture again and again costs
// nobody a tick.
//
// Thread-safety: all methods may be called from any thread.
class Quarantine {
 public:
  // Both must outlive this.
  Quarantine(const Clock& clock, prometheus::Registry& registry);

  // A picture of this request failed, alone in its tick. `effective` is as ToEffectiveRequest tells it.
  void Add(const v1::GenerateRequest& effective, int image_index);

  // Errors, made by MakeError: ENGINE_ERROR, saying for how long, where a picture of the request is known.
  absl::Status Check(const v1::GenerateRequest& effective);

  static constexpr absl::Duration kTime = absl::Minutes(10);
  static constexpr size_t kMost = 1000;  // the oldest leave

 private:
  void ForgetOld(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  prometheus::Counter& entered_;
  prometheus::Counter& refused_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, absl::Time> until_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<absl::Time, std::string>> order_ ABSL_GUARDED_BY(mutex_);  // by when they leave
};

}  // namespace stepcast
