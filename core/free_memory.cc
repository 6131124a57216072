#include "core/free_memory.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/control_groups.h"
#include "core/memory_limit.h"

namespace stepcast {
namespace {

// The bytes behind `key` in a file of "Key:   123 kB".
std::optional<int64_t> Find(const std::string& path, absl::string_view key) {
  const std::string text = ReadKernelFile(path);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    int64_t kibibytes = 0;
    if (!absl::ConsumePrefix(&line, key) || !absl::ConsumeSuffix(&line, "kB")) continue;
    if (absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &kibibytes) && kibibytes >= 0) return kibibytes * 1024;
  }
  return std::nullopt;
}

}  // namespace

int64_t ReadFreeMemory(const std::string& root) {
  const int64_t limit = ReadMemoryLimit(root);
  const int64_t left = limit - Find(root + "/proc/self/status", "RssAnon:").value_or(0);
  const std::optional<int64_t> available = Find(root + "/proc/meminfo", "MemAvailable:");
  if (limit == 0) return available.value_or(0);
  return std::max<int64_t>(1, std::min(left, available.value_or(left)));
}

}  // namespace stepcast
