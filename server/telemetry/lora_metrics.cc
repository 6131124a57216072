#include "server/telemetry/lora_metrics.h"

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace stepcast {
namespace {

prometheus::Gauge& Gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Counter& Requested(prometheus::Registry& registry, const char* result) {
  return prometheus::BuildCounter()
      .Name("stepcast_loras_total")
      .Help("LoRAs that requests asked for: in memory already (hit), loaded, or not to be loaded (failed).")
      .Register(registry)
      .Add({{"result", result}});
}

}  // namespace

LoraMetrics::LoraMetrics(prometheus::Registry& registry)
    : held_(Gauge(registry, "stepcast_loras_held", "LoRAs in memory beside their models.")),
      bytes_(Gauge(registry, "stepcast_lora_bytes", "Bytes that LoRAs take on a device.")),
      loaded_(Requested(registry, "loaded")),
      failed_(Requested(registry, "failed")),
      hits_(Requested(registry, "hit")) {}

void LoraMetrics::SetHeld(int64_t loras, int64_t bytes) {
  held_.Set(static_cast<double>(loras));
  bytes_.Set(static_cast<double>(bytes));
}

void LoraMetrics::CountLoad(bool loaded) { (loaded ? loaded_ : failed_).Increment(); }

void LoraMetrics::CountHits(int64_t loras) { hits_.Increment(static_cast<double>(loras)); }

}  // namespace stepcast
