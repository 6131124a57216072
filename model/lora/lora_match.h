#pragma once
// Which layers of a model a LoRA changes. No torch.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/lora_targets.h"
#include "model/lora/lora_file.h"

namespace stepcast::model {

// A layer of a file and the one of a model that it changes.
struct LoraMatch {
  size_t network = 0;  // of the targets
  int site = 0;        // of that network
  const LoraModule* module = nullptr;
};

// Looks every layer of `file` (which must outlive the result) up among `targets`: under its name in diffusers, in that
// of the original layout, or in either with underscores for dots. Errors: INVALID_ARGUMENT where a layer is none of the
// model's, has another shape there, or is named twice; the first ones are named.
absl::StatusOr<std::vector<LoraMatch>> MatchLora(const LoraFile& file, const LoraTargets& targets);

// The name of a layer of a U-Net in the original layout: "input_blocks.1.0.in_layers.2"; "" where it has none.
// `layers`: resnets of each of its blocks on the way down.
std::string OriginalName(const std::string& name, int64_t layers);

}  // namespace stepcast::model
