#pragma once
// The classes of a class-conditional pipeline, as its model_index.json lists them.

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"

namespace stepcast::model {

struct ClassLabels {
  std::map<int, std::string> labels;  // class index -> label, as DiT repositories have it in `id2label`
  std::optional<int> null_class;      // the index that stands for "any class"
};

inline constexpr int kMaxClassIndex = 1'000'000;

// Reads `id2label`, an object of decimal indices and labels of 1..256 bytes, and `null_class` from `index`, the
// model_index.json. Both are optional.
// Errors: INVALID_ARGUMENT listing every entry that is malformed.
absl::StatusOr<ClassLabels> ReadClassLabels(JsonConfig& index);

}  // namespace stepcast::model
