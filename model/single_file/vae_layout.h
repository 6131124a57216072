#pragma once
// A KL autoencoder in the original layout: its sizes, read from the names and shapes of its tensors.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/single_file/tensor_listing.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

struct VaeLayout {
  std::vector<int64_t> channels;  // per level, from the full size down
  int64_t layers_per_block = 0;   // of the encoder; the decoder has one more
  int64_t latent_channels = 0;
  bool quant_conv = false;
  bool post_quant_conv = false;
  bool mid_attention = false;
};

// The autoencoder below `prefix` ("first_stage_model.", or "" in a file of its own).
// Errors: INVALID_ARGUMENT naming the tensor that is missing.
absl::StatusOr<VaeLayout> ReadVaeLayout(const TensorListing& tensors, const std::string& prefix);

// The same for tensors with diffusers' names ("decoder.up_blocks.0..."), as in a folder's own weights file.
absl::StatusOr<VaeLayout> ReadDiffusersVaeLayout(const TensorListing& tensors);

// What no tensor says and is the family's: the factor between the encoder's latents and the denoiser's, whether 16 bits
// suffice, and the side of the pictures that it was trained on; 0: not known.
struct VaeFacts {
  double scaling_factor = 0.18215;
  bool force_upcast = true;
  int64_t sample_size = 0;
};

// The config of an AutoencoderKL.
nlohmann::json VaeConfigJson(const VaeLayout& layout, const VaeFacts& facts);

}  // namespace stepcast::model
