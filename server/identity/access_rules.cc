#include "server/identity/access_rules.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast {
namespace {

void ReadTokens(const std::string& path, const std::vector<Role>& roles, absl::Time now,
                std::optional<TokenTable>& table, std::vector<std::string>& mistakes) {
  if (path.empty()) return;
  absl::StatusOr<std::vector<TokenEntry>> tokens = LoadTokens(path, roles);
  if (!tokens.ok()) {
    mistakes.emplace_back(tokens.status().message());
  } else if (std::none_of(tokens->begin(), tokens->end(), [now](const auto& token) { return token.expires > now; })) {
    mistakes.push_back(absl::StrCat(path, ": no token that is valid: nobody could call"));
  } else {
    table.emplace(*std::move(tokens));
  }
}

}  // namespace

absl::StatusOr<SharedAccess> LoadAccess(const ServerConfig& config, absl::Time now) {
  auto rules = std::make_shared<AccessRules>();
  rules->tenants = config.tenants;
  rules->limits = config.limits;
  std::vector<std::string> mistakes;
  ReadTokens(config.auth.token_file, {Role::kPaint, Role::kRead}, now, rules->tokens, mistakes);
  ReadTokens(config.admin.token_file, {Role::kWatch, Role::kOperate}, now, rules->admin_tokens, mistakes);
  if (!mistakes.empty()) return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
  return SharedAccess(std::move(rules));
}

}  // namespace stepcast
