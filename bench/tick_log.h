#pragma once
// What the ticks of a run took.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "core/metrics.h"
#include "core/mutex.h"

namespace stepcast {

// Seconds of ticks by their rows, phase by phase.
//
// Thread-safety: safe.
class TickLog final : public EngineMetrics {
 public:
  void ObserveTick(std::string_view phase, std::string_view, int, int rows, absl::Duration duration) override {
    const MutexLock lock(mutex_);
    ticks_[std::string(phase)][rows].push_back(absl::ToDoubleSeconds(duration));
  }
  void SetQueue(int, int) override {}
  void CountJob(std::string_view, std::string_view, absl::Duration) override {}
  void CountEmbeddingLookup(bool) override {}

  // All since the last Take: phase name -> rows -> seconds.
  std::map<std::string, std::map<int, std::vector<double>>> Take() {
    const MutexLock lock(mutex_);
    return std::exchange(ticks_, {});
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::map<int, std::vector<double>>> ticks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast
