#pragma once
// One entry of `models` in the configuration.

#include <string>

#include "engine/start/engine_factory.h"
#include "server/config/strict_yaml.h"

namespace stepcast {

// Reads id, path, packed_bytes, load, devices and what a card may say of the model (core/model_card.h), with the same
// keys. Paths are relative to the folder of `config_path`. Mistakes go to `errors`.
ModelSource ReadModelEntry(YamlMapping& entry, const std::string& place, const std::string& config_path,
                           YamlErrors& errors);

}  // namespace stepcast
