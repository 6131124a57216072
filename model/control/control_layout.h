#pragma once
// A ControlNet in one file: its sizes, read from the names and shapes of its tensors, and which tensor is which.

#include "absl/status/statusor.h"
#include "model/single_file/tensor_listing.h"
#include "model/weights/weight_set.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

// As a file in a folder of diffusers would be.
struct ControlFile {
  nlohmann::json config;  // with _class_name
  ViewRule views;
};

// Whether the file looks like a ControlNet: it has an embedding of hints, in the original layout ("control_model." in
// front or not) or in that of diffusers.
bool LooksLikeControlNet(const TensorListing& tensors);

// Errors: INVALID_ARGUMENT saying what the file is instead (a ControlNet-LLLite, a Control-LoRA, a T2I-Adapter, ...),
// or naming the tensor that is missing or odd.
absl::StatusOr<ControlFile> ReadControlFile(const TensorListing& tensors);

}  // namespace stepcast::model
