#pragma once
// The flags of stepcast-server.

#include <string>
#include <vector>

#include "server/config/config.h"

namespace stepcast {

// What the command line asks for.
struct CommandLine {
  std::string config;  // path; "": none
  bool check_config = false;
  bool print_config = false;
  std::optional<std::string> new_token;  // the tenant of one to make
  bool validate_model = false;           // overrides.validate_model is set
  ConfigOverrides overrides;

  // Set when there is nothing to serve: the process prints `text`, to stderr for a mistake, and ends with `exit_code`.
  bool ends = false;
  int exit_code = 0;  // 0: --help, --version; 2: a mistake
  std::string text;
};

// Reads `arguments`, which are main's without the name of the program. Dashes in a flag may stand for underscores; of
// a flag that is there twice the last one counts.
CommandLine ParseCommandLine(std::vector<std::string> arguments);

}  // namespace stepcast
