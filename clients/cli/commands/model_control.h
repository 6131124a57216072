#pragma once
// `stepcast load` and `stepcast unload`: which models are in memory, by hand. Both speak to the admin port.

#include <optional>
#include <string>

#include "clients/cli/call/connection.h"
#include "clients/cli/call/exit_code.h"

namespace stepcast::cli {

struct UnloadOptions {
  std::optional<double> drain_s = std::nullopt;  // how long its pictures may take; nullopt: as the server's drain
  bool reload = false;                           // the next request may load it again
};

// `model`: "" for the default model.
ExitCode LoadModel(const ConnectionOptions& admin, const std::string& model);
ExitCode UnloadModel(const ConnectionOptions& admin, const std::string& model, const UnloadOptions& options);

}  // namespace stepcast::cli
