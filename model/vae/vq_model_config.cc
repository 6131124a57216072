#include "model/vae/vq_model_config.h"

#include "core/status_macros.h"

namespace stepcast::model {

absl::StatusOr<VqModelConfig> ParseVqModelConfig(JsonConfig& json) {
  VqModelConfig config;
  config.decoder.latent_channels = 3;
  config.decoder.force_upcast = false;
  config.num_vq_embeddings = json.Int("num_vq_embeddings", config.num_vq_embeddings, 1, 1 << 16);
  config.vq_embed_dim = json.OptionalInt("vq_embed_dim", 1, 256).value_or(0);
  json.Refuse("norm_type", "group");
  json.Ignore({"lookup_from_codebook"});  // of callers that bring codes instead of latents
  STEPCAST_ASSIGN_OR_RETURN(config.decoder, ParseAutoencoderConfig(json, config.decoder));
  if (config.vq_embed_dim == 0) config.vq_embed_dim = config.decoder.latent_channels;
  return config;
}

}  // namespace stepcast::model
