#pragma once
// What a single-file checkpoint is: its family, its parts, and what its files never say. No tensor is loaded.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model_info.h"
#include "model/single_file/family.h"
#include "model/single_file/prediction.h"
#include "model/single_file/tensor_listing.h"
#include "model/single_file/text_layout.h"
#include "model/single_file/unet_layout.h"
#include "model/single_file/vae_layout.h"

namespace stepcast::model {

// A text tower as the pipeline uses it: of Stable Diffusion 2's whole OpenCLIP tower all layers but the last.
struct CheckpointText {
  TextPlace place;
  TextLayout layout;
};

struct Checkpoint {
  CheckpointFamily family = CheckpointFamily::kStableDiffusion1;
  UNetLayout unet;
  std::vector<CheckpointText> texts;
  std::optional<VaeLayout> vae;  // nullopt: the file has none
  Prediction prediction;
  std::vector<ModelDecision> decisions;  // all, the prediction's among them
  std::vector<std::string> warnings;
};

inline constexpr char kVaePrefix[] = "first_stage_model.";

// Errors: INVALID_ARGUMENT saying what the file is instead, or which part of it is not built.
absl::StatusOr<Checkpoint> DetectCheckpoint(const TensorListing& tensors, const PredictionEvidence& evidence);

}  // namespace stepcast::model
