#include "server/config/loop_options.h"

#include <limits>

namespace stepcast {
namespace {

int OrNoLimit(int limit) { return limit == 0 ? std::numeric_limits<int>::max() : limit; }

TenantLimits LimitsOf(const TenantConfig& tenant) {
  return {.max_jobs = OrNoLimit(tenant.max_pictures),
          .max_queued = OrNoLimit(tenant.max_queued),
          .max_queued_work = tenant.max_queued_work};
}

}  // namespace

EngineLoopOptions LoopOptions(const ServerConfig& config) {
  EngineLoopOptions options = config.scheduler;
  options.admission.tenant = LimitsOf(config.tenants.defaults);
  for (const auto& [name, tenant] : config.tenants.named) {
    options.admission.tenants[name] = LimitsOf(tenant);
    options.tenant_weights[name] = tenant.weight;
  }
  return options;
}

}  // namespace stepcast
