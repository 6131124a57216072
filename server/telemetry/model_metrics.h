#pragma once
// What is in memory, as Prometheus series.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "core/model_info.h"
#include "core/mutex.h"

namespace prometheus {
class Counter;
class Gauge;
class Registry;
}  // namespace prometheus

namespace stepcast {

// Series of one model exist from the first word about it.
//
// Thread-safety: all methods may be called from any thread.
class ModelMetrics {
 public:
  // `registry` must outlive this.
  explicit ModelMetrics(prometheus::Registry& registry) : registry_(registry) {}

  // What the model is now; "" for a sha256 that is not known yet.
  void SetInfo(const ModelInfo& model);

  // Bytes of weights on `device`, and their budget (kNoMemoryBudget: none).
  void SetDeviceMemory(const std::string& device, int64_t bytes, int64_t budget);
  // Bytes of a model's weights, what it shares included; 0 while it is not in memory.
  void SetModelMemory(const std::string& model, int64_t bytes);

  void CountLoad(const std::string& model, bool loaded);
  void CountUnload(const std::string& model);

 private:
  prometheus::Gauge& InfoOf(const ModelInfo& model) const;
  prometheus::Gauge& DeviceMemory(const std::string& device, const std::string& kind) const;
  prometheus::Counter& Loads(const std::string& model, bool loaded) const;
  prometheus::Counter& Unloads(const std::string& model) const;

  prometheus::Registry& registry_;
  Mutex mutex_;
  std::map<std::string, prometheus::Gauge*> infos_ ABSL_GUARDED_BY(mutex_);  // by model
};

}  // namespace stepcast
