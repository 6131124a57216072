#pragma once
// Files that operators write.

#include <string>

#include "absl/status/statusor.h"

namespace stepcast {

// The whole file, or as much of it as shows that it is larger than 1 MiB, which no reader takes.
// Errors: NOT_FOUND, INVALID_ARGUMENT, "path: message".
absl::StatusOr<std::string> ReadConfigFile(const std::string& path);

// `path` of the configuration at `config_path`, whose paths are relative to its folder; "" stays "".
std::string BesideConfig(const std::string& config_path, const std::string& path);

}  // namespace stepcast
