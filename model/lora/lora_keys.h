#pragma once
// The names of a LoRA's tensors, taken apart.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace stepcast::model {

// What a tensor is to its layer.
enum class LoraRole { kDown, kUp, kMid, kAlpha };

struct LoraKey {
  std::string component;  // "unet", "text_encoder", "text_encoder_2"
  std::string layer;      // the layer's own name; underscores for dots where `flat`
  bool flat = false;
  LoraRole role = LoraRole::kDown;
  std::string module;  // as the file names the layer
};

// Errors: INVALID_ARGUMENT naming the tensor and what it is instead.
absl::StatusOr<LoraKey> ParseLoraKey(absl::string_view name);

}  // namespace stepcast::model
