#pragma once
// What the OpenMP runtime and glibc's allocator must be told before the process is loaded. No library but libc.

#include <vector>

namespace stepcast {

// An environment variable and the value the engine wants where the operator has set none.
struct EnvironmentDefault {
  const char* name;
  const char* value;
};

// Settings of the OpenMP runtime and of glibc's allocator. Without them a busy machine stalls ticks by seconds, as
// workers spin for threads that are not running, and a tick faults its memory in again (engine/README.md has the
// measurements).
const std::vector<EnvironmentDefault>& EngineEnvironment();

// Sets those that are absent, for the program that this process executes next. Returns whether any was.
// REQUIRES: no other thread runs.
bool SetEngineEnvironment();

// For programs that are not started by one that has set them: sets those that are absent and executes the program
// again, once. `argv` is main's, whole. REQUIRES: called first in main, before any thread starts.
void ExecuteWithEngineEnvironment(char** argv);

}  // namespace stepcast
