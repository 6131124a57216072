#include "core/memory_limit.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/control_groups.h"

namespace stepcast {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// "max" is no number, and v1 says a number beyond any machine.
int64_t LimitOf(const ControlGroup& group) {
  int64_t bytes = 0;
  const std::string text =
      ReadKernelFile(absl::StrCat(group.folder, group.unified ? "/memory.max" : "/memory.limit_in_bytes"));
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &bytes) && bytes > 0 ? bytes : kNoLimit;
}

}  // namespace

int64_t ReadMemoryLimit(const std::string& root) {
  const int64_t machine = ReadKernelBytes(root + "/proc/meminfo", "MemTotal:").value_or(0);
  int64_t limit = machine > 0 ? machine : kNoLimit;
  for (const ControlGroup& group : ControlGroupsOf("memory", root)) limit = std::min(limit, LimitOf(group));
  return limit == kNoLimit ? 0 : limit;
}

}  // namespace stepcast
