#pragma once
// The JSON of a safetensors header, read event by event: a document tree would hide duplicate keys, and would let
// a hostile header of 100 MB ask for gigabytes.

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/weights/safetensors.h"

namespace stepcast::model {

// Reads names, dtypes, shapes and offsets. Checks syntax, types, duplicates and limits, not yet how the offsets
// fit together. Tensors come in the order of the text. Errors: INVALID_ARGUMENT.
absl::StatusOr<SafetensorsHeader> ReadSafetensorsJson(absl::string_view json);

}  // namespace stepcast::model
