#pragma once
// A U-Net in the original layout: its sizes, read from the names and shapes of its tensors.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/single_file/tensor_listing.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

inline constexpr absl::string_view kUNetPrefix = "model.diffusion_model.";

struct UNetLayout {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t layers_per_block = 0;
  std::vector<int64_t> channels;   // per level, from the full size down
  std::vector<int64_t> depths;     // transformers behind each resnet of a level; 0: none
  std::vector<int64_t> up_depths;  // the same on the way up, by level
  int64_t mid_depth = 0;           // 0: a middle without attention; -1: no middle
  int64_t context_width = 0;       // of the text that cross-attention reads; 0: there is no cross-attention
  bool linear_projection = false;  // proj_in is a matrix, not a 1x1 convolution
  int64_t vector_width = 0;        // of what is embedded beside the time (label_emb); 0: nothing is
  int64_t guidance_width = 0;      // of the guidance embedding of latent consistency models; 0: none
};

// REQUIRES: the listing has kUNetPrefix + "input_blocks.0.0.weight".
// Errors: INVALID_ARGUMENT naming the tensor for a network that is no such U-Net: blocks that are missing, levels whose
// layers differ in width or depth.
absl::StatusOr<UNetLayout> ReadUNetLayout(const TensorListing& tensors);
// Its way down and middle alone, of tensors whose names begin with `prefix`; nothing is known of what comes out.
// Errors: as above.
absl::StatusOr<UNetLayout> ReadUNetEncoderLayout(const TensorListing& tensors, absl::string_view prefix);

// The config of a UNet2DConditionModel of this layout. `heads_are_eight`: of Stable Diffusion 1, where every level has
// eight heads; later ones have heads of 64 channels. `sample_size`: latent cells that it was trained at.
// Errors: INVALID_ARGUMENT when its channels do not divide into such heads.
absl::StatusOr<nlohmann::json> UNetConfigJson(const UNetLayout& layout, bool heads_are_eight, int64_t sample_size);

}  // namespace stepcast::model
