#pragma once
// `stepcast models`, `stepcast info`: questions that change nothing.

#include <string>

#include "clients/cli/call/connection.h"
#include "clients/cli/call/exit_code.h"

namespace stepcast::cli {

// Lists all models, or describes one when `model` is not empty.
ExitCode Models(const ConnectionOptions& connection, const std::string& model, bool json);

// Version, devices, limits and queue of the server.
ExitCode Info(const ConnectionOptions& connection, bool json);

}  // namespace stepcast::cli
