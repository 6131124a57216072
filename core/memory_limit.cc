#include "core/memory_limit.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/control_groups.h"

namespace stepcast {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

int64_t MachineMemory(const std::string& root) {
  const std::string text = ReadKernelFile(root + "/proc/meminfo");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t kibibytes = 0;
    if (!absl::ConsumePrefix(&line, "MemTotal:") || !absl::ConsumeSuffix(&line, "kB")) continue;
    if (absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &kibibytes) && kibibytes > 0) return kibibytes * 1024;
  }
  return kNoLimit;
}

// "max" is no number, and v1 says a number beyond any machine.
int64_t LimitOf(const ControlGroup& group) {
  int64_t bytes = 0;
  const std::string text =
      ReadKernelFile(absl::StrCat(group.folder, group.unified ? "/memory.max" : "/memory.limit_in_bytes"));
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &bytes) && bytes > 0 ? bytes : kNoLimit;
}

}  // namespace

int64_t ReadMemoryLimit(const std::string& root) {
  int64_t limit = MachineMemory(root);
  for (const ControlGroup& group : ControlGroupsOf("memory", root)) limit = std::min(limit, LimitOf(group));
  return limit == kNoLimit ? 0 : limit;
}

}  // namespace stepcast
