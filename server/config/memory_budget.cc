#include "server/config/memory_budget.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/start/engine_factory.h"
#include "server/config/byte_size.h"
#include "server/wire/text_limits.h"

namespace stepcast {

void ReadMemoryBudget(YamlMapping& root, const char* key, bool may_be_auto, YamlErrors& errors, int64_t& budget) {
  constexpr int64_t kSmallest = 1 << 20;
  std::string text = "none";
  root.Text(key, text);
  const std::optional<int64_t> bytes = ParseBytes(text);
  if (text == "none") {
    budget = kNoMemoryBudget;
  } else if (may_be_auto && text == "auto") {
    budget = kAutoMemoryBudget;
  } else if (bytes.has_value() && *bytes >= kSmallest) {
    budget = *bytes;
  } else {
    errors.Add(root.LineOf(key), absl::StrCat(key, ": got ", Quoted(text), "; allowed: none, ",
                                              may_be_auto ? "auto, " : "", "or ", kByteSizes, " from 1MiB on"));
  }
}

}  // namespace stepcast
