#pragma once
// scheduler_config.json as words: "key=value" of the fixtures, values as Python prints them.

#include <string>

#include "core/sampling_types.h"

namespace stepcast::sampling {

// Sets one key. Keys that no class of ours reads are left out. Aborts on a value it cannot read.
void SetConfigKey(const std::string& key, const std::string& value, NoiseScheduleConfig& config);

}  // namespace stepcast::sampling
