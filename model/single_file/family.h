#pragma once
// Which family a checkpoint belongs to, by the names and shapes of its tensors.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/single_file/tensor_listing.h"
#include "model/single_file/text_layout.h"

namespace stepcast::model {

enum class CheckpointFamily { kStableDiffusion1, kStableDiffusion2, kStableDiffusionXl, kStableDiffusionXlRefiner };

const char* FamilyName(CheckpointFamily family);  // "Stable Diffusion XL"

// A family, and where its text towers lie.
struct FamilyFound {
  CheckpointFamily family = CheckpointFamily::kStableDiffusion1;
  std::vector<TextPlace> texts;
  std::string source;  // what it was told by, in words
};

// Errors: INVALID_ARGUMENT naming what the file is, where it is no checkpoint, a family or kind that is not built
// (upscaling, depth maps, distilled), or lacks its text encoders.
absl::StatusOr<FamilyFound> DetectFamily(const TensorListing& tensors);

}  // namespace stepcast::model
