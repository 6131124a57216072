#pragma once
// `stepcast samplers`: the samplers of a model, as a table.

#include <string>

#include "clients/cli/call/connection.h"
#include "clients/cli/call/exit_code.h"

namespace stepcast::cli {

// Prints the samplers of `model` ("" for the default one). Errors are told on stderr.
ExitCode Samplers(const ConnectionOptions& connection, const std::string& model, bool json);

}  // namespace stepcast::cli
