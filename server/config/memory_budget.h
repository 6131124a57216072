#pragma once
// Budgets of memory, as every key of the configuration that has one says it.

#include <cstdint>

#include "server/config/strict_yaml.h"

namespace stepcast {

// "none" (kNoMemoryBudget), a size from 1 MiB on, or, where `may_be_auto`, "auto" (kAutoMemoryBudget). An absent key is
// "none".
void ReadMemoryBudget(YamlMapping& root, const char* key, bool may_be_auto, YamlErrors& errors, int64_t& budget);

}  // namespace stepcast
