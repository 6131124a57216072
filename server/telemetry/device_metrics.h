#pragma once
// The series of one device; all else that its loop reports is passed on.

#include <array>
#include <string>

#include "core/clock.h"
#include "core/metrics.h"
#include "scheduler/words/phase.h"

namespace prometheus {
class Counter;
class Gauge;
class Registry;
}  // namespace prometheus

namespace stepcast {

// The queues of all devices together.
struct QueueGauges {
  prometheus::Gauge& waiting;
  prometheus::Gauge& running;
};

// What one loop reports to.
//
// Thread-safety: the methods of EngineMetrics are called by one thread at a time, SetUp may be called from any thread.
class DeviceMetrics final : public EngineMetrics {
 public:
  // `server` counts what has no device; `clock` dates the last progress. All must outlive this.
  DeviceMetrics(const std::string& device, prometheus::Registry& registry, EngineMetrics& server, QueueGauges all,
                const Clock& clock);

  void ObserveTick(std::string_view phase, std::string_view model, int jobs, int rows,
                   absl::Duration duration) override;
  void ObservePrediction(std::string_view phase, absl::Duration predicted, absl::Duration measured) override;
  void ChargeTenant(std::string_view tenant, const DeviceCost& cost) override;
  void SetParked(int parked) override;
  void SetQueue(int waiting, int running) override;
  void CountJob(std::string_view model, std::string_view outcome, absl::Duration since_arrival) override;
  void CountEmbeddingLookup(bool hit) override;

  void SetUp(bool up);

 private:
  EngineMetrics& server_;
  const QueueGauges all_;
  const Clock& clock_;
  prometheus::Gauge& up_;
  prometheus::Gauge& waiting_;
  prometheus::Gauge& running_;
  prometheus::Gauge& parked_;
  prometheus::Gauge& last_progress_;
  std::array<prometheus::Counter*, kPhases.size()> busy_;  // by phase
  int told_waiting_ = 0;
  int told_running_ = 0;
};

}  // namespace stepcast
