#pragma once
// The ControlNets of the configuration.

#include <string>
#include <vector>

#include "engine/start/engine_factory.h"
#include "server/config/strict_yaml.h"

namespace stepcast {

// Reads control_nets, control_nets_dir and control_nets_budget. Paths are relative to the folder of `config_path`. What
// of the folder is passed over goes to `notes`, mistakes to `errors`.
void ReadControlNets(YamlMapping& root, const std::string& config_path, YamlErrors& errors, EngineOptions& engine,
                     std::vector<std::string>& notes);

struct FoundControlNets {
  std::vector<ControlNetSource> nets;  // in order of name; may be empty
  std::vector<std::string> skipped;    // a line for each entry that is none
};

// The ControlNets in `dir`: subfolders with a config.json, and .safetensors files, called like themselves in lower case
// (ModelIdOf). Errors: NOT_FOUND when it is no folder that can be read.
absl::StatusOr<FoundControlNets> FindControlNets(const std::string& dir);

// Adds what `dir` holds to `engine`; what is called as a net that is there already is passed over. Errors: as above.
absl::Status AddControlNets(const std::string& dir, EngineOptions& engine, std::vector<std::string>& notes);

}  // namespace stepcast
