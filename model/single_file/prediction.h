#pragma once
// What a checkpoint's U-Net predicts, and whether its noise ends in noise alone: what no shape tells.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/model_info.h"
#include "core/sampling_types.h"
#include "model/single_file/family.h"
#include "model/single_file/tensor_listing.h"

namespace stepcast::model {

// Evidence beside the tensors' names.
struct PredictionEvidence {
  std::string name;                                    // of the file, without folder and ending
  std::optional<PredictionType> operators_prediction;  // the operator's word
  std::optional<bool> operators_zero_terminal_snr;
  std::string operators_source;                          // where that word was read
  std::function<std::string(const TensorEntry&)> bytes;  // of a tensor; empty: data are not looked at
};

struct Prediction {
  PredictionType type = PredictionType::kEpsilon;
  bool zero_terminal_snr = false;
  std::vector<ModelDecision> decisions;  // both, each with its source
  std::vector<std::string> warnings;     // what an operator should look at
};

// In the order of trust: the operator, marker tensors, metadata, for Stable Diffusion 2 the spread of a bias; else
// epsilon, with a warning where the model's name says otherwise.
Prediction DetectPrediction(const TensorListing& tensors, CheckpointFamily family, const PredictionEvidence& evidence);

}  // namespace stepcast::model
