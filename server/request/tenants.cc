#include "server/request/tenants.h"

#include "core/string_view.h"
#include "server/request/field_violations.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {

absl::StatusOr<std::string> Tenants::Resolve(std::string_view claimed) {
  if (claimed.empty() || claimed == kDefaultTenant) return std::string(kDefaultTenant);
  if (!IsTenantName(claimed)) {
    FieldViolations violations;
    violations.Add(config_.metadata_key, Quoted(ToAbsl(claimed)), kTenantNames);
    return violations.ToStatus();
  }
  std::string name(claimed);
  if (config_.named.contains(name)) return name;
  MutexLock lock(mutex_);
  if (known_.contains(name)) return name;
  if (static_cast<int>(known_.size()) >= config_.max) return std::string(kDefaultTenant);
  known_.insert(name);
  return name;
}

std::vector<std::string> Tenants::Labels() const {
  std::vector<std::string> labels = {kDefaultTenant};
  for (const auto& [name, settings] : config_.named) labels.push_back(name);
  return labels;
}

}  // namespace stepcast
