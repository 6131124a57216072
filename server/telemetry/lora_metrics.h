#pragma once
// LoRAs in memory, as Prometheus series.

#include <cstdint>

namespace prometheus {
class Counter;
class Gauge;
class Registry;
}  // namespace prometheus

namespace stepcast {

// Thread-safety: all methods may be called from any thread.
class LoraMetrics {
 public:
  // `registry` must outlive this.
  explicit LoraMetrics(prometheus::Registry& registry);

  // What a device holds: how many, and their bytes.
  void SetHeld(int64_t loras, int64_t bytes);
  void CountLoad(bool loaded);
  // LoRAs of a request that were in memory already.
  void CountHits(int64_t loras);

 private:
  prometheus::Gauge& held_;
  prometheus::Gauge& bytes_;
  prometheus::Counter& loaded_;
  prometheus::Counter& failed_;
  prometheus::Counter& hits_;
};

}  // namespace stepcast
