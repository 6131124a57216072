#include "server/request/tenants.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/string_view.h"
#include "server/request/errors/field_violations.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {

absl::StatusOr<std::string> Tenants::Resolve(const TenantsConfig& config, absl::Span<const std::string_view> claims) {
  const std::string_view claimed = claims.empty() ? std::string_view() : claims.front();
  const auto other =
      std::find_if(claims.begin(), claims.end(), [&](std::string_view claim) { return claim != claimed; });
  FieldViolations violations;
  if (other != claims.end()) {
    violations.Add(config.metadata_key, absl::StrCat(Quoted(ToAbsl(claimed)), " and ", Quoted(ToAbsl(*other))),
                   "one name");
    return violations.ToStatus();
  }
  if (claimed.empty() || claimed == kDefaultTenant) return std::string(kDefaultTenant);
  if (!IsTenantName(claimed)) {
    violations.Add(config.metadata_key, Quoted(ToAbsl(claimed)), kTenantNames);
    return violations.ToStatus();
  }
  std::string name(claimed);
  if (config.named.contains(name)) return name;
  MutexLock lock(mutex_);
  if (known_.contains(name)) return name;
  if (static_cast<int>(known_.size()) >= config.max) return std::string(kDefaultTenant);
  known_.insert(name);
  return name;
}

std::vector<std::string> TenantLabels(const TenantsConfig& config) {
  std::vector<std::string> labels = {kDefaultTenant};
  for (const auto& [name, settings] : config.named) labels.push_back(name);
  return labels;
}

}  // namespace stepcast
