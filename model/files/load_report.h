#pragma once
// What the loading of a model tells the log beyond what failed: where weights come from, what contradicts itself, and
// what lies in the folder and is not run.

#include <string>
#include <vector>

#include <c10/core/ScalarType.h>

#include "absl/strings/string_view.h"
#include "core/sampling_types.h"
#include "model/files/json_config.h"
#include "model/files/model_index.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"

namespace stepcast::model {

// "fp32", "bf16", "fp16"; "" for others.
std::string DtypeName(c10::ScalarType dtype);

// "unet: 686 tensors, F16, from FILE, run in fp32": the tensors of `set` that `weights` handed out, by stored type.
std::string DescribeWeights(const std::string& component, const WeightSet& set, const WeightMap& weights);

// "not run: safety_checker (StableDiffusionSafetyChecker), ...; other files: ...": components of the index, folders and
// weight files beside it that none of `used`, paths of files, belongs to. Empty: nothing.
std::string DescribeLeftOut(const ModelIndex& index, const std::vector<std::string>& used);

// Settings of scheduler_config.json that contradict each other, with the one that counts.
std::vector<std::string> Contradictions(const NoiseScheduleConfig& schedule);

// Where config.json of the network names another prediction than scheduler_config.json, which counts; "" otherwise.
std::string PredictionContradiction(JsonConfig& network, const NoiseScheduleConfig& schedule);

// Where variance_type of scheduler_config.json and what the network predicts do not go together; "" otherwise.
std::string VarianceContradiction(const NoiseScheduleConfig& schedule, bool predicts_variance);

}  // namespace stepcast::model
