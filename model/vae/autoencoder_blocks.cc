#include "model/vae/autoencoder_blocks.h"

namespace stepcast::model {

UNetBlockOptions AutoencoderBlockOptions(const AutoencoderConfig& config) {
  UNetBlockOptions options;
  options.resnet.groups = config.norm_num_groups;
  options.resnet.eps = kAutoencoderNormEps;
  options.resnet.activation = config.activation;
  return options;
}

UNetBlockOptions AutoencoderMidOptions(const AutoencoderConfig& config) {
  UNetBlockOptions options = AutoencoderBlockOptions(config);
  options.in = options.out = config.block_out_channels.back();
  options.layers = 1;
  options.attention = config.mid_block_add_attention ? BlockAttention::kSpatial : BlockAttention::kNone;
  options.transformer.heads = 1;
  return options;
}

}  // namespace stepcast::model
