#pragma once
// The command line of `stepcast-simulate`; README.md tells it to people.

#include <ostream>

namespace stepcast::simulate {

// Carries out one command: results go to `out`, complaints and progress to `err`. Returns the exit status: 0; 1 when a
// replay diverged or a claim was not met; 2 when the command could not be understood or carried out.
int RunCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace stepcast::simulate
