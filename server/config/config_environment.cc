#include "server/config/config_environment.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/config/config_printer.h"

namespace stepcast {
namespace {

constexpr char kPrefix[] = "STEPCAST_";

// Of the clients' variables the one that could be taken for a key of `admin`.
constexpr char kTokenOfClients[] = "STEPCAST_ADMIN_TOKEN";

std::vector<std::string> Keys() {
  std::vector<std::string> keys = {"control_nets_dir"};
  for (const ConfigEntry& entry : DescribeConfig(ServerConfig())) keys.push_back(entry.key);
  return keys;
}

// What Kubernetes makes of a service called stepcast-admin: STEPCAST_ADMIN_SERVICE_HOST, STEPCAST_ADMIN_PORT_50052_TCP.
bool IsServiceLink(const std::string& name) {
  if (absl::StrContains(name, "_SERVICE_HOST") || absl::StrContains(name, "_SERVICE_PORT")) return true;
  return absl::EndsWith(name, "_PORT") || absl::StrContains(name, "_PORT_");
}

// Whether a key could have been meant.
bool BeginsAsASection(const std::string& name, const std::vector<std::string>& keys) {
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    const size_t dot = key.find('.');
    return dot != std::string::npos && absl::StartsWith(name, absl::StrCat(VariableOf(key.substr(0, dot)), "_"));
  });
}

// Throws what yaml-cpp throws.
void Write(const std::string& key, const std::string& text, YAML::Node& root) {
  if (!root.IsMap()) root = YAML::Node(YAML::NodeType::Map);
  YAML::Node at = root;
  const std::vector<std::string> path = absl::StrSplit(key, '.');
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    YAML::Node child = at[path[i]];
    if (child.IsNull()) child = YAML::Node(YAML::NodeType::Map);
    at.reset(child);
  }
  at[path.back()] = text.empty() ? YAML::Node(text) : YAML::Load(text);
}

}  // namespace

std::string VariableOf(const std::string& key) {
  return absl::StrCat(kPrefix, absl::AsciiStrToUpper(absl::StrReplaceAll(key, {{".", "_"}})));
}

void ApplyVariables(const ConfigVariables& variables, YAML::Node& root, YamlErrors& errors) {
  const std::vector<std::string> keys = Keys();
  if (!root.IsNull() && !root.IsMap()) return;  // whoever reads it says so
  for (const auto& [name, value] : variables) {
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const std::string& k) { return VariableOf(k) == name; });
    if (key == keys.end()) {
      if (BeginsAsASection(name, keys) && !IsServiceLink(name) && name != kTokenOfClients) {
        errors.Add(0, absl::StrCat(name, " is the variable of no key of the configuration"));
      }
      continue;
    }
    errors.Call(*key, name);
    try {
      Write(*key, value, root);
    } catch (const YAML::Exception&) {
      errors.Add(0, absl::StrCat(*key, ": got ", value.size(), " bytes that are no YAML value"));
    }
  }
}

}  // namespace stepcast
