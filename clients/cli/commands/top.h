#pragma once
// `stepcast top`: what the scheduler does, live, from the admin port.

#include "clients/cli/call/connection.h"
#include "clients/cli/call/exit_code.h"

namespace stepcast::cli {

struct TopOptions {
  double interval_s = 1;  // between frames; ticks are watched for as long
  bool once = false;      // one frame, then end
  bool json = false;      // a JSON object per frame instead of text
};

// Draws until interrupted. `connection.host` is the admin port.
ExitCode Top(const ConnectionOptions& connection, const TopOptions& options);

}  // namespace stepcast::cli
