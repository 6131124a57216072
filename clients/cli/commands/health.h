#pragma once
// `stepcast health`: whether a server is ready.

#include <string>

#include "clients/cli/call/connection.h"
#include "clients/cli/call/exit_code.h"

namespace stepcast::cli {

struct HealthOptions {
  std::string service = "readiness";  // name asked of grpc.health.v1
  double wait_s = 0;                  // how long to wait for SERVING; 0: ask once
  int while_pid = 0;                  // stop waiting when this process is gone; 0: none
};

// Returns kOk when the service is SERVING. One look takes at most connection.timeout_s, or two seconds.
ExitCode Health(const ConnectionOptions& connection, const HealthOptions& options);

}  // namespace stepcast::cli
