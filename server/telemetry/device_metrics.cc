#include "server/telemetry/device_metrics.h"

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace stepcast {
namespace {

prometheus::Gauge& AddGauge(prometheus::Registry& registry, const char* name, const char* help,
                            const std::string& device) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({{"device", device}});
}

double Seconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

void Move(prometheus::Gauge& sum, int by) { by >= 0 ? sum.Increment(by) : sum.Decrement(-by); }

}  // namespace

DeviceMetrics::DeviceMetrics(const std::string& device, prometheus::Registry& registry, EngineMetrics& server,
                             QueueGauges all, const Clock& clock)
    : server_(server),
      all_(all),
      clock_(clock),
      up_(AddGauge(registry, "stepcast_device_up", "1 while the device works, 0 once it is lost.", device)),
      waiting_(AddGauge(registry, "stepcast_device_waiting", "Images admitted to the device and not started.", device)),
      running_(AddGauge(registry, "stepcast_device_running", "Images that the device paints.", device)),
      parked_(AddGauge(registry, "stepcast_device_parked",
                       "Of the running images, those whose latents wait outside the device.", device)),
      last_progress_(AddGauge(registry, "stepcast_engine_last_progress_timestamp_seconds",
                              "End of the last tick, seconds since the epoch; the start until there is one.", device)) {
  up_.Set(1);
  last_progress_.Set(Seconds(clock_.Now()));
  for (size_t i = 0; i < busy_.size(); ++i) {
    busy_[i] = &prometheus::BuildCounter()
                    .Name("stepcast_device_busy_seconds_total")
                    .Help("Time spent in ticks.")
                    .Register(registry)
                    .Add({{"device", device}, {"phase", std::string(PhaseName(kPhases[i]))}});
  }
}

void DeviceMetrics::ObserveTick(std::string_view phase, std::string_view model, int jobs, int rows,
                                absl::Duration duration) {
  for (size_t i = 0; i < busy_.size(); ++i) {
    if (PhaseName(kPhases[i]) == phase) busy_[i]->Increment(absl::ToDoubleSeconds(duration));
  }
  last_progress_.Set(Seconds(clock_.Now()));
  server_.ObserveTick(phase, model, jobs, rows, duration);
}

void DeviceMetrics::ObservePrediction(std::string_view phase, absl::Duration predicted, absl::Duration measured) {
  server_.ObservePrediction(phase, predicted, measured);
}

void DeviceMetrics::ChargeTenant(std::string_view tenant, const DeviceCost& cost) {
  server_.ChargeTenant(tenant, cost);
}

void DeviceMetrics::SetParked(int parked) { parked_.Set(parked); }

void DeviceMetrics::SetQueue(int waiting, int running) {
  waiting_.Set(waiting);
  running_.Set(running);
  Move(all_.waiting, waiting - told_waiting_);
  Move(all_.running, running - told_running_);
  told_waiting_ = waiting;
  told_running_ = running;
}

void DeviceMetrics::CountJob(std::string_view model, std::string_view outcome, absl::Duration since_arrival) {
  server_.CountJob(model, outcome, since_arrival);
}

void DeviceMetrics::CountEmbeddingLookup(bool hit) { server_.CountEmbeddingLookup(hit); }

void DeviceMetrics::SetUp(bool up) { up_.Set(up ? 1 : 0); }

}  // namespace stepcast
