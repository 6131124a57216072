#pragma once
// stdout: what is lost on it is told.

#include "clients/cli/call/exit_code.h"

namespace stepcast::cli {

// Makes sure that the three standard streams are open, so that no socket takes the number of one, and that a failure
// keeps its reason. To be called first of all.
void PrepareStandardStreams();

// Writes what is buffered. Returns `code`; or, when anything was lost, kFailed after saying so on stderr.
ExitCode FlushStandardOutput(ExitCode code);

}  // namespace stepcast::cli
