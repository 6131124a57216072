#pragma once
// The configuration as it is in effect, key by key.

#include <string>
#include <vector>

#include "server/config/config.h"

namespace stepcast {

struct ConfigEntry {
  std::string key;    // "limits.max_side"
  std::string value;  // as YAML

  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};

// Every key with its value, in the order of deploy/config.example.yaml. Lists are one entry; of models what their cards
// may say, too, is left out. There are no secrets: keys and tokens are files of their own, named here by path.
std::vector<ConfigEntry> DescribeConfig(const ServerConfig& config);

// The same as a YAML file that says it, with a comment behind each value that is not the default's: `sources` names
// where it comes from, by key.
std::string PrintConfig(const ServerConfig& config, const std::vector<ConfigEntry>& sources);

// The keys of which `a` and `b` differ.
std::vector<std::string> ChangedKeys(const ServerConfig& a, const ServerConfig& b);

}  // namespace stepcast
