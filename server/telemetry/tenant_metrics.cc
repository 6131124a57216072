#include "server/telemetry/tenant_metrics.h"

#include <algorithm>
#include <utility>

#include "core/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/registry.h"
#include "server/wire/names.h"

namespace stepcast {
namespace {

prometheus::Counter& AddCounter(prometheus::Registry& registry, const char* name, const char* help,
                                const prometheus::Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}

}  // namespace

TenantMetrics::TenantMetrics(prometheus::Registry& registry) : registry_(registry) { Add({kOtherTenants}); }

void TenantMetrics::Add(const std::vector<std::string>& names) {
  MutexLock lock(mutex_);
  for (const std::string& name : names) {
    if (series_.contains(name)) continue;
    Series series{
        .seconds =
            &AddCounter(registry_, "stepcast_tenant_device_seconds_total",
                        "Device time by tenant; a tick's time is split equally over its rows.", {{"tenant", name}}),
        .rows = &AddCounter(registry_, "stepcast_tenant_row_evaluations_total",
                            "Rows of denoiser forwards by tenant; a guided evaluation is two.", {{"tenant", name}}),
        .calls = {}};
    for (size_t i = 0; i < kCallOutcomes.size(); ++i) {
      series.calls[i] = &AddCounter(registry_, "stepcast_tenant_calls_total", "Finished painting calls by tenant.",
                                    {{"tenant", name}, {"outcome", std::string(kCallOutcomes[i])}});
    }
    series_.emplace(name, series);
  }
}

void TenantMetrics::Listen(std::function<void(std::string_view tenant, absl::Duration had)> listener) {
  listener_ = std::move(listener);
}

const TenantMetrics::Series& TenantMetrics::Of(std::string_view tenant) const {
  const auto found = series_.find(ToAbsl(tenant));
  return found == series_.end() ? series_.at(kOtherTenants) : found->second;
}

void TenantMetrics::Charge(std::string_view tenant, const DeviceCost& cost) {
  {
    MutexLock lock(mutex_);
    const Series& series = Of(tenant);
    series.seconds->Increment(absl::ToDoubleSeconds(cost.device_time));
    series.rows->Increment(static_cast<double>(cost.row_evaluations));
  }
  if (listener_ != nullptr) listener_(tenant, cost.device_time);
}

void TenantMetrics::CountCall(std::string_view tenant, std::string_view outcome) {
  const auto* const found = std::find(kCallOutcomes.begin(), kCallOutcomes.end(), outcome);
  if (found == kCallOutcomes.end()) return;
  MutexLock lock(mutex_);
  Of(tenant).calls[static_cast<size_t>(found - kCallOutcomes.begin())]->Increment();
}

}  // namespace stepcast
