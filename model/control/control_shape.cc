#include "model/control/control_shape.h"

namespace stepcast::model {

std::optional<ControlShape> ControlShapeOf(const UNetConfig& config, int64_t latent_channels, int64_t pixels_per_cell) {
  // Nets read the text as the encoders leave it, and their residuals end in the middle.
  if (config.encoder_hid_dim > 0 || config.mid_block == MidBlockKind::kNone) return std::nullopt;
  ControlShape shape;
  shape.latent_channels = latent_channels;
  shape.pixels_per_cell = pixels_per_cell;
  shape.vector_width = config.addition_time_embed_dim > 0 ? config.projection_class_embeddings_input_dim : 0;
  if (config.class_embedding == ClassEmbedding::kTable) shape.classes = config.num_class_embeds;
  if (config.class_embedding == ClassEmbedding::kTimestep) shape.classes = -1;
  bool reads_text = config.mid_block == MidBlockKind::kTransformer;
  for (const UNetBlockConfig& block : config.down_blocks) {
    shape.channels.push_back(block.channels);
    shape.layers.push_back(block.layers);
    reads_text = reads_text || block.attention == BlockAttention::kTransformer;
  }
  if (reads_text) shape.text_width = config.cross_attention_dim;
  return shape;
}

}  // namespace stepcast::model
