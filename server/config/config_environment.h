#pragma once
// Keys of the configuration from the environment: STEPCAST_LIMITS_MAX_SIDE is limits.max_side.

#include <string>

#include "server/config/config.h"
#include "server/config/strict_yaml.h"

namespace stepcast {

// "STEPCAST_LIMITS_MAX_SIDE" for "limits.max_side".
std::string VariableOf(const std::string& key);

// Writes what `variables` say over `root`, the root of a file or null. Values are read as YAML, lists too. What names
// no key is passed over, as an environment holds much (Kubernetes adds STEPCAST_SERVICE_HOST for a service of that
// name); but a name that begins as a section's keys do, and is none, goes to `errors`, as do values that are no YAML.
// From then on `errors` calls these keys by their variables.
void ApplyVariables(const ConfigVariables& variables, YAML::Node& root, YamlErrors& errors);

}  // namespace stepcast
