#include "model/unet/block_options.h"

namespace stepcast::model {

UNetBlockOptions CommonOptions(const UNetConfig& config, StackedLinear* time, StackedLinear* text) {
  UNetBlockOptions options;
  options.resnet.groups = config.norm_num_groups;
  options.resnet.eps = config.norm_eps;
  options.resnet.activation = config.activation;
  options.resnet.scale_shift = config.time_scale_shift;
  options.resnet.time_channels = config.time_embedding_dim;
  options.resnet.time = time;
  options.transformer.cross_attention_dim = config.cross_attention_dim;
  options.transformer.linear_projection = config.use_linear_projection;
  options.transformer.text = text;
  options.downsample_padding = config.downsample_padding;
  return options;
}

UNetBlockOptions WithBlock(UNetBlockOptions common, const UNetConfig& config, const UNetBlockConfig& block) {
  if (block.resampler == BlockResampler::kResnet) common.resnet.output_scale = config.resnet_out_scale_factor;
  common.out = block.channels;
  common.layers = block.layers;
  common.attention = block.attention;
  common.resampler = block.resampler;
  common.transformer_layers = block.transformer_layers;
  common.transformer.heads = block.heads;
  common.transformer.only_cross_attention = block.only_cross_attention;
  return common;
}

UNetBlockOptions WithMid(UNetBlockOptions common, const UNetConfig& config) {
  common.in = common.out = config.mid_channels();
  common.layers = 0;
  common.resnet.output_scale = config.mid_block_scale_factor;
  common.usual = UsualSizes(config).back();
  if (config.mid_block == MidBlockKind::kResnetOnly) return common;
  common.layers = 1;
  common.transformer.heads = config.mid_heads;
  if (config.mid_block == MidBlockKind::kTransformer) {
    common.attention = BlockAttention::kTransformer;
    common.transformer_layers = {config.mid_transformer_layers};
  } else if (config.mid_block == MidBlockKind::kSpatial) {
    common.attention = BlockAttention::kSpatial;
    common.attention_groups = config.mid_attention_groups;
  }
  return common;
}

std::vector<SpatialSize> UsualSizes(const UNetConfig& config) {
  std::vector<SpatialSize> sizes = {{config.sample_height, config.sample_width}};
  for (int64_t i = 0; i < config.halvings(); ++i) sizes.push_back(Halved(sizes.back()));
  return sizes;
}

ConvGeometry SameSize(const UNetConfig& config, int64_t kernel) {
  return {
      .kernel = kernel, .stride = 1, .padding = (kernel - 1) / 2, .usual = {config.sample_height, config.sample_width}};
}

}  // namespace stepcast::model
