#include "server/telemetry/model_metrics.h"

#include "core/model_host.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace stepcast {
namespace {

prometheus::Family<prometheus::Gauge>& Gauges(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Gauge>& Infos(prometheus::Registry& registry) {
  return Gauges(registry, "stepcast_model_info", "A model of the server; always 1.");
}

}  // namespace

prometheus::Gauge& ModelMetrics::InfoOf(const ModelInfo& model) const {
  return Infos(registry_).Add(
      {{"model", model.id}, {"sha256", model.sha256}, {"dtype", model.dtype}, {"device", model.device}});
}

prometheus::Gauge& ModelMetrics::DeviceMemory(const std::string& device, const std::string& kind) const {
  return Gauges(registry_, "stepcast_device_memory_bytes", "Weights in memory, and the budget for them.")
      .Add({{"device", device}, {"kind", kind}});
}

prometheus::Counter& ModelMetrics::Loads(const std::string& model, bool loaded) const {
  return prometheus::BuildCounter()
      .Name("stepcast_model_loads_total")
      .Help("Loads of models while the server serves.")
      .Register(registry_)
      .Add({{"model", model}, {"result", loaded ? "loaded" : "failed"}});
}

prometheus::Counter& ModelMetrics::Unloads(const std::string& model) const {
  return prometheus::BuildCounter()
      .Name("stepcast_model_unloads_total")
      .Help("Models that left memory, for others or by hand.")
      .Register(registry_)
      .Add({{"model", model}});
}

void ModelMetrics::SetInfo(const ModelInfo& model) {
  prometheus::Gauge& now = InfoOf(model);
  MutexLock lock(mutex_);
  prometheus::Gauge*& before = infos_[model.id];
  if (before != nullptr && before != &now) Infos(registry_).Remove(before);
  if (before == nullptr) {
    for (const bool loaded : {true, false}) Loads(model.id, loaded);
    Unloads(model.id);
  }
  before = &now;
  now.Set(1);
}

void ModelMetrics::SetDeviceMemory(const std::string& device, int64_t bytes, int64_t budget) {
  DeviceMemory(device, "weights").Set(static_cast<double>(bytes));
  if (budget != kNoMemoryBudget) DeviceMemory(device, "weights_budget").Set(static_cast<double>(budget));
}

void ModelMetrics::SetModelMemory(const std::string& model, int64_t bytes) {
  Gauges(registry_, "stepcast_model_memory_bytes",
         "Weights of a model in memory, on each of its devices; what it shares with others counts in full.")
      .Add({{"model", model}})
      .Set(static_cast<double>(bytes));
}

void ModelMetrics::CountLoad(const std::string& model, bool loaded) { Loads(model, loaded).Increment(); }

void ModelMetrics::CountUnload(const std::string& model) { Unloads(model).Increment(); }

}  // namespace stepcast
