#pragma once
// What can be a name in requests, metadata and configuration.

#include <string_view>

namespace stepcast {

// Whether `id` can be a model: [a-z0-9][a-z0-9._-]{0,62}.
bool IsModelId(std::string_view id);

// The tenant of calls that name none, and of those that are one name too many.
inline constexpr char kDefaultTenant[] = "default";

// Whether `name` can be an adapter: kAdapterNames.
bool IsAdapterName(std::string_view name);
inline constexpr char kAdapterNames[] = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}";

// Whether `name` can be a tenant: kTenantNames.
bool IsTenantName(std::string_view name);
inline constexpr char kTenantNames[] = "[A-Za-z0-9][A-Za-z0-9._@-]{0,63}";

// In metrics: all tenants that the configuration does not name. No tenant can be called so.
inline constexpr char kOtherTenants[] = "_other";

}  // namespace stepcast
