#pragma once
// The config.json of an AutoencoderKL.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/layers/activation.h"

namespace stepcast::model {

struct AutoencoderConfig {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  std::vector<int64_t> block_out_channels = {64};
  int64_t layers_per_block = 1;
  Activation activation = Activation::kSilu;
  int64_t latent_channels = 4;
  int64_t norm_num_groups = 32;
  int64_t sample_size = 32;  // pixels that it was trained at; the side of a tile
  double scaling_factor = 0.18215;
  double shift_factor = 0;
  std::vector<double> latents_mean;  // per latent channel; empty: none
  std::vector<double> latents_std;
  bool force_upcast = true;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;
  bool mid_block_add_attention = true;

  // Pixels per latent cell.
  int64_t scale_factor() const { return int64_t{1} << (block_out_channels.size() - 1); }
};

// `config`: what absent keys mean. Errors: INVALID_ARGUMENT listing every bad field.
absl::StatusOr<AutoencoderConfig> ParseAutoencoderConfig(JsonConfig& json, AutoencoderConfig config = {});

}  // namespace stepcast::model
