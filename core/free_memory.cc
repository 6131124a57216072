#include "core/free_memory.h"

#include <algorithm>
#include <optional>

#include "core/control_groups.h"
#include "core/memory_limit.h"

namespace stepcast {

int64_t ReadFreeMemory(const std::string& root) {
  const int64_t limit = ReadMemoryLimit(root);
  const int64_t left = limit - ReadKernelBytes(root + "/proc/self/status", "RssAnon:").value_or(0);
  const std::optional<int64_t> available = ReadKernelBytes(root + "/proc/meminfo", "MemAvailable:");
  if (limit == 0) return available.value_or(0);
  return std::max<int64_t>(1, std::min(left, available.value_or(left)));
}

}  // namespace stepcast
