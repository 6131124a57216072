#pragma once
// The config.json of a VQModel.

#include <cstdint>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/vae/autoencoder_config.h"

namespace stepcast::model {

struct VqModelConfig {
  AutoencoderConfig decoder;  // its latent_channels are those of the cells before post_quant_conv and of the codes
  int64_t num_vq_embeddings = 256;
  int64_t vq_embed_dim = 3;  // width of a code, which is what the denoiser paints
};

// Errors: INVALID_ARGUMENT listing every bad field.
absl::StatusOr<VqModelConfig> ParseVqModelConfig(JsonConfig& json);

}  // namespace stepcast::model
