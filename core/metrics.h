#pragma once
// What the engine reports while it runs. server/telemetry/metrics_exporter turns it into Prometheus series.

#include <string_view>

#include "absl/time/time.h"
#include "core/job_event.h"

namespace stepcast {

// Receives counts from the engine.
//
// Thread-safety: each device's is called by one thread at a time, its engine's or its desk's; it must not block.
class EngineMetrics {
 public:
  virtual ~EngineMetrics() = default;

  // One executed plan, from when it was made to its results. `phase` is a PhaseName (scheduler/words/phase.h); `rows`
  // are forward rows (a guided evaluation is two).
  virtual void ObserveTick(std::string_view phase, std::string_view model, int jobs, int rows,
                           absl::Duration duration) = 0;

  // What the cost model had expected of a tick of `phase`, and what it took. Never called without an expectation.
  virtual void ObservePrediction(std::string_view /*phase*/, absl::Duration /*predicted*/,
                                 absl::Duration /*measured*/) {}

  // What a picture of `tenant` had of a tick. The time of all of them is that of ObserveTick.
  virtual void ChargeTenant(std::string_view /*tenant*/, const DeviceCost& /*cost*/) {}

  // Jobs in flight whose tensors wait outside the device.
  virtual void SetParked(int /*parked*/) {}

  // Jobs admitted but not started, and jobs in flight.
  virtual void SetQueue(int waiting, int running) = 0;

  // A job ended: "succeeded", "failed", "cancelled" or "expired".
  virtual void CountJob(std::string_view model, std::string_view outcome, absl::Duration since_arrival) = 0;

  // Prompt-embedding cache look-ups.
  virtual void CountEmbeddingLookup(bool hit) = 0;
};

// Ignores everything; for tests and tools.
class NullEngineMetrics final : public EngineMetrics {
 public:
  void ObserveTick(std::string_view, std::string_view, int, int, absl::Duration) override {}
  void SetQueue(int, int) override {}
  void CountJob(std::string_view, std::string_view, absl::Duration) override {}
  void CountEmbeddingLookup(bool) override {}
};

}  // namespace stepcast
