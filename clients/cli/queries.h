#pragma once
// `stepcast models`, `stepcast info`, `stepcast health`: questions that change nothing.

#include <string>

#include "clients/cli/connection.h"
#include "clients/cli/exit_code.h"

namespace stepcast::cli {

// Lists all models, or describes one when `model` is not empty.
ExitCode Models(const ConnectionOptions& connection, const std::string& model, bool json);

// Version, devices, limits and queue of the server.
ExitCode Info(const ConnectionOptions& connection, bool json);

struct HealthOptions {
  std::string service = "readiness";  // name asked of grpc.health.v1
  double wait_s = 0;                  // how long to wait for SERVING; 0: ask once
  int while_pid = 0;                  // stop waiting when this process is gone; 0: none
};

// Returns kOk when the service is SERVING.
ExitCode Health(const ConnectionOptions& connection, const HealthOptions& options);

}  // namespace stepcast::cli
