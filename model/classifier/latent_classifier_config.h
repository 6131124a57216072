#pragma once
// The config.json of a LatentClassifier.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/layers/activation.h"

namespace stepcast::model {

struct LatentClassifierConfig {
  int64_t in_channels = 4;
  int64_t num_classes = 10;
  std::vector<int64_t> block_out_channels;
  int64_t layers_per_block = 2;
  int64_t norm_num_groups = 16;
  double norm_eps = 1e-5;
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  Activation activation = Activation::kSilu;
  bool cosine_gain = false;  // logits are scaled by the share of signal in the latents, see LatentClassifier

  int64_t first_channels() const { return block_out_channels.front(); }
  int64_t last_channels() const { return block_out_channels.back(); }
};

// Errors: INVALID_ARGUMENT listing every field that is malformed or inconsistent.
absl::StatusOr<LatentClassifierConfig> ParseLatentClassifierConfig(JsonConfig& json);

}  // namespace stepcast::model
