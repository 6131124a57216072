#include "engine/start/engine_environment.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace stepcast {
namespace {

// Not getenv: a variable that is set to nothing is the operator's word too.
bool InEnvironment(const char* name) {
  const size_t length = std::strlen(name);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return true;
  }
  return false;
}

}  // namespace

const std::vector<EnvironmentDefault>& EngineEnvironment() {
  static const auto* const kDefaults = new std::vector<EnvironmentDefault>{
      {"GOMP_SPINCOUNT", "2000"},
      // One heap without seams that keeps what is freed until the idle engine gives it back. By default glibc unmaps
      // the tensors of one operator, or the plain copy of a weight that was packed, and the next one faults the same
      // pages in again.
      {"MALLOC_ARENA_MAX", "1"},
      {"MALLOC_MMAP_MAX_", "0"},
      {"MALLOC_TRIM_THRESHOLD_", "1073741824"},
  };
  return *kDefaults;
}

bool SetEngineEnvironment() {
  bool missing = false;
  for (const EnvironmentDefault& setting : EngineEnvironment()) {
    if (InEnvironment(setting.name)) continue;
    missing = true;
    setenv(setting.name, setting.value, /*overwrite=*/0);
  }
  return missing;
}

void ExecuteWithEngineEnvironment(char** argv) {
  // Where that fails the program is slower on a busy machine, and no worse.
  if (SetEngineEnvironment()) execv("/proc/self/exe", argv);
  prctl(PR_SET_NAME, program_invocation_short_name);  // else ps and pkill would know it as "exe"
}

}  // namespace stepcast
