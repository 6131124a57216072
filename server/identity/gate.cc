#include "server/identity/gate.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "server/identity/methods.h"
#include "server/request/errors/field_violations.h"
#include "server/request/errors/status_mapping.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr size_t kMaxTokenBytes = 512;

std::vector<std::string_view> ValuesOf(const CallMetadata& metadata, const std::string& key) {
  std::vector<std::string_view> values;
  const auto [begin, end] = metadata.equal_range(key);
  for (auto it = begin; it != end; ++it) values.emplace_back(it->second.data(), it->second.size());
  return values;
}

absl::Status Invalid() { return MakeError({.reason = v1::ERROR_REASON_TOKEN_INVALID}); }

// The token of "Bearer abc"; other schemes are not for us, and count as none.
absl::StatusOr<absl::string_view> TokenIn(const CallMetadata& metadata) {
  absl::string_view token;
  for (const std::string_view value : ValuesOf(metadata, "authorization")) {
    absl::string_view text = absl::StripAsciiWhitespace(ToAbsl(value));
    if (!absl::StartsWithIgnoreCase(text, "bearer ")) continue;
    text.remove_prefix(7);
    text = absl::StripLeadingAsciiWhitespace(text);
    if (!token.empty() && token != text) return Invalid();
    token = text;
  }
  if (token.empty()) return MakeError({.reason = v1::ERROR_REASON_TOKEN_MISSING});
  if (token.size() > kMaxTokenBytes) return Invalid();
  return token;
}

// Whether a claim beside a token says what the token says.
absl::Status CheckClaims(const std::vector<std::string_view>& claims, const std::string& key,
                         const std::string& tenant) {
  const auto other = std::find_if(claims.begin(), claims.end(),
                                  [&](std::string_view claim) { return !claim.empty() && claim != tenant; });
  if (other == claims.end()) return absl::OkStatus();
  FieldViolations violations;
  violations.Add(key, Quoted(ToAbsl(*other)), "the tenant of the token, or nothing");
  return violations.ToStatus();
}

}  // namespace

absl::StatusOr<Caller> Gate::AdmitToken(std::string_view method, const CallMetadata& metadata,
                                        SharedAccess rules) const {
  const TokenTable& table = port_ == Port::kPublic ? *rules->tokens : *rules->admin_tokens;
  STEPCAST_ASSIGN_OR_RETURN(const absl::string_view text, TokenIn(metadata));
  const TokenEntry* const token = table.Find(std::string_view(text.data(), text.size()));
  if (token == nullptr || token->expires <= clock_.Now()) return Invalid();
  const std::optional<Role> role = RoleFor(method);
  if (!role.has_value() || std::find(token->roles.begin(), token->roles.end(), *role) == token->roles.end()) {
    return MakeError({.reason = v1::ERROR_REASON_METHOD_FORBIDDEN, .metadata = {{"method", std::string(method)}}});
  }
  const std::string& key = rules->tenants.metadata_key;
  if (port_ == Port::kPublic && !key.empty()) {
    STEPCAST_RETURN_IF_ERROR(CheckClaims(ValuesOf(metadata, key), key, token->tenant));
  }
  return Caller(token->tenant, token->name, std::move(rules));
}

absl::StatusOr<Caller> Gate::Admit(std::string_view method, const CallMetadata& metadata) const {
  SharedAccess rules = access_.rules();
  const bool asked = port_ == Port::kPublic ? rules->tokens.has_value() : rules->admin_tokens.has_value();
  if (asked) return AdmitToken(method, metadata, std::move(rules));
  const std::string& key = rules->tenants.metadata_key;
  std::vector<std::string_view> claims;
  if (port_ == Port::kPublic && !key.empty()) claims = ValuesOf(metadata, key);
  STEPCAST_ASSIGN_OR_RETURN(std::string tenant, tenants_.Resolve(rules->tenants, claims));
  return Caller(std::move(tenant), "", std::move(rules));
}

}  // namespace stepcast
