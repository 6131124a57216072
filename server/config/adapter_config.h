#pragma once
// The adapters of the configuration: folders of LoRAs and of textual inversions.

#include <string>
#include <vector>

#include "server/config/config.h"
#include "server/config/strict_yaml.h"

namespace stepcast {

// Reads loras_dir, loras_budget and embeddings_dir. Paths are relative to the folder of `path`.
void ReadAdapters(YamlMapping& root, const std::string& path, YamlErrors& errors, ServerConfig& config);

// What the command line says of them. Appends a line for each mistake.
void ApplyAdapterOverrides(const ConfigOverrides& overrides, ServerConfig& config, std::vector<std::string>& mistakes);

}  // namespace stepcast
