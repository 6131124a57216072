#include "server/config/token_file.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "server/config/read_file.h"
#include "server/config/strict_yaml.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr size_t kDigestBytes = 32;
constexpr size_t kTokenBytes = 32;

TokenDigest FromBytes(absl::string_view bytes) {
  TokenDigest digest;
  std::memcpy(digest.data(), bytes.data(), kDigestBytes);
  return digest;
}

std::string NamesOf(const std::vector<Role>& roles) {
  return absl::StrJoin(roles, ", ",
                       [](std::string* out, Role role) { out->append(kRoleNames[static_cast<size_t>(role)]); });
}

// One entry of the list.
class EntryReader {
 public:
  EntryReader(const YAML::Node& node, std::string place, YamlErrors& errors)
      : entry_(node, place, errors), place_(std::move(place)), errors_(errors) {}

  TokenEntry Read(const std::vector<Role>& roles) {
    TokenEntry token;
    ReadDigest(token.digest);
    entry_.Text("tenant", token.tenant);
    if (!IsTenantName(token.tenant)) Wrong("tenant", Quoted(token.tenant), kTenantNames);
    entry_.Text("name", token.name);
    if (!token.name.empty() && !IsTenantName(token.name)) Wrong("name", Quoted(token.name), kTenantNames);
    ReadRoles(roles, token.roles);
    ReadExpiry(token.expires);
    entry_.Finish();
    return token;
  }

  void Twice() { errors_.Add(entry_.LineOf("sha256"), absl::StrCat(place_, ".sha256: this token was given already")); }

 private:
  void Wrong(const char* key, absl::string_view got, absl::string_view allowed) {
    errors_.Add(entry_.LineOf(key), absl::StrCat(place_, ".", key, ": got ", got, "; allowed: ", allowed));
  }

  void ReadDigest(TokenDigest& digest) {
    std::string hex;
    entry_.Text("sha256", hex);
    const auto is_hex = [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); };
    if (hex.size() != 2 * kDigestBytes || !std::all_of(hex.begin(), hex.end(), is_hex)) {
      // What came may be the token itself.
      return Wrong("sha256", absl::StrCat(hex.size(), " characters"),
                   "the 64 hex digits of a token's SHA-256 (stepcast-server --new_token TENANT makes both)");
    }
    digest = FromBytes(absl::HexStringToBytes(hex));
  }

  void ReadRoles(const std::vector<Role>& allowed, std::vector<Role>& roles) {
    const std::optional<YAML::Node> list = entry_.Child("roles");
    if (!list.has_value()) {
      roles = allowed;
      return;
    }
    if (!list->IsSequence()) return Wrong("roles", "no list", absl::StrCat("a list of ", NamesOf(allowed)));
    for (const YAML::Node& node : *list) {
      const std::string name = node.IsScalar() ? node.Scalar() : "";
      const auto is_named = [&name](Role role) { return kRoleNames[static_cast<size_t>(role)] == name; };
      const auto found = std::find_if(allowed.begin(), allowed.end(), is_named);
      if (found == allowed.end()) {
        Wrong("roles", Quoted(name), NamesOf(allowed));
      } else {
        roles.push_back(*found);
      }
    }
  }

  void ReadExpiry(absl::Time& expires) {
    std::string text;
    entry_.Text("expires", text);
    if (text.empty()) return;
    std::string ignored;
    absl::Time time;
    if (absl::ParseTime(absl::RFC3339_full, text, &time, &ignored) && time < absl::InfiniteFuture()) {
      expires = time;
    } else {
      Wrong("expires", Quoted(text), "a time like 2027-01-31T00:00:00Z");
    }
  }

  YamlMapping entry_;
  const std::string place_;
  YamlErrors& errors_;
};

}  // namespace

TokenDigest DigestOf(std::string_view token) { return FromBytes(absl::HexStringToBytes(Sha256Hex(token))); }

absl::StatusOr<std::vector<TokenEntry>> ParseTokens(const std::string& text, const std::string& path,
                                                    const std::vector<Role>& roles) {
  STEPCAST_ASSIGN_OR_RETURN(const YAML::Node root, ParseYaml(text, path));
  YamlErrors errors(path);
  std::vector<TokenEntry> tokens;
  if (!root.IsNull() && !root.IsSequence()) {
    errors.Add(0, "allowed: a list of {sha256, tenant, name, roles, expires}");
    return errors.ToStatus();
  }
  if (root.size() > kMaxTokens) {
    errors.Add(0, absl::StrCat("got ", root.size(), " tokens; allowed: at most ", kMaxTokens));
    return errors.ToStatus();
  }
  absl::flat_hash_set<TokenDigest> seen;
  for (const YAML::Node& node : root) {
    if (errors.full()) break;
    EntryReader entry(node, absl::StrCat("[", tokens.size(), "]"), errors);
    tokens.push_back(entry.Read(roles));
    if (!seen.insert(tokens.back().digest).second) entry.Twice();
  }
  STEPCAST_RETURN_IF_ERROR(errors.ToStatus());
  return tokens;
}

absl::StatusOr<std::vector<TokenEntry>> LoadTokens(const std::string& path, const std::vector<Role>& roles) {
  STEPCAST_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseTokens(text, path, roles);
}

absl::StatusOr<NewToken> MakeToken(const std::string& tenant) {
  if (!IsTenantName(tenant)) {
    return absl::InvalidArgumentError(absl::StrCat("got ", Quoted(tenant), "; allowed: ", kTenantNames));
  }
  std::array<unsigned char, kTokenBytes> random;
  if (RAND_bytes(random.data(), random.size()) != 1) return absl::InternalError("the system has no randomness");
  std::string text;
  absl::WebSafeBase64Escape(absl::string_view(reinterpret_cast<const char*>(random.data()), random.size()), &text);
  NewToken made;
  made.token = absl::StrCat("sct_", text);
  made.line = absl::StrCat("- {sha256: ", Sha256Hex(made.token), ", tenant: ", Quoted(tenant), "}");
  return made;
}

}  // namespace stepcast
