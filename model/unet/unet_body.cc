#include "model/unet/unet_body.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/mul.h>
#include <c10/util/Exception.h>

namespace stepcast::model {
namespace {

// The size the model was trained at: most requests ask for it.
SpatialSize UsualSize(const UNetConfig& config) { return {config.sample_height, config.sample_width}; }

ConvGeometry SameSize(const UNetConfig& config, int64_t kernel) {
  return {.kernel = kernel, .stride = 1, .padding = (kernel - 1) / 2, .usual = UsualSize(config)};
}

// What all blocks share.
UNetBlockOptions Common(const UNetConfig& config, StackedLinear* time, StackedLinear* text) {
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

UNetBlockOptions WithBlock(UNetBlockOptions options, const UNetConfig& config, const UNetBlockConfig& block) {
  if (block.resampler == BlockResampler::kResnet) options.resnet.output_scale = config.resnet_out_scale_factor;
  options.out = block.channels;
  options.layers = block.layers;
  options.attention = block.attention;
  options.resampler = block.resampler;
  options.transformer_layers = block.transformer_layers;
  options.transformer.heads = block.heads;
  options.transformer.only_cross_attention = block.only_cross_attention;
  return options;
}

UNetBlockOptions MidOptions(UNetBlockOptions options, const UNetConfig& config) {
  options.in = options.out = config.mid_channels();
  options.layers = 0;
  options.resnet.output_scale = config.mid_block_scale_factor;
  if (config.mid_block == MidBlockKind::kResnetOnly) return options;
  options.layers = 1;
  options.transformer.heads = config.mid_heads;
  if (config.mid_block == MidBlockKind::kTransformer) {
    options.attention = BlockAttention::kTransformer;
    options.transformer_layers = {config.mid_transformer_layers};
  } else if (config.mid_block == MidBlockKind::kSpatial) {
    options.attention = BlockAttention::kSpatial;
    options.attention_groups = config.mid_attention_groups;
  }
  return options;
}

}  // namespace

UNetBody::UNetBody(WeightMap& weights, const UNetConfig& config)
    : config_(config),
      conv_in_(weights.Root() / "conv_in", config.in_channels, config.first_channels(),
               SameSize(config, config.conv_in_kernel)),
      conv_norm_out_(weights.Root() / "conv_norm_out", config.first_channels(), config.norm_num_groups,
                     config.norm_eps),
      conv_out_(weights.Root() / "conv_out", config.first_channels(), config.out_channels,
                SameSize(config, config.conv_out_kernel)) {
  const WeightScope root = weights.Root();
  const UNetBlockOptions common = Common(config, &time_projections_, &text_projections_);
  int64_t channels = config.first_channels();
  std::vector<SpatialSize> usual = {UsualSize(config)};  // at each level
  for (size_t i = 0; i < config.down_blocks.size(); ++i) {
    UNetBlockOptions options = WithBlock(common, config, config.down_blocks[i]);
    options.in = channels;
    options.usual = usual.back();
    options.resample = i + 1 < config.down_blocks.size();
    if (options.resample) usual.push_back(Halved(usual.back()));
    down_blocks_.emplace_back(root / "down_blocks" / static_cast<int64_t>(i), options);
    channels = options.out;
  }
  if (config.mid_block != MidBlockKind::kNone) {
    UNetBlockOptions mid = MidOptions(common, config);
    mid.usual = usual.back();
    mid_block_.emplace(root / "mid_block", mid);
  }
  for (size_t i = 0; i < config.up_blocks.size(); ++i) {
    UNetBlockOptions options = WithBlock(common, config, config.up_blocks[i]);
    options.previous = channels;
    options.usual = usual[usual.size() - 1 - i];
    options.in = config.up_blocks[std::min(i + 1, config.up_blocks.size() - 1)].channels;
    options.resample = i + 1 < config.up_blocks.size();
    up_blocks_.emplace_back(root / "up_blocks" / static_cast<int64_t>(i), options);
    channels = options.out;
  }
  time_projections_.Seal();
  text_projections_.Seal();
}

at::Tensor UNetBody::RunBlocks(at::Tensor x, const UNetContext& context) const {
  std::vector<at::Tensor> skips = {x};
  for (const DownBlock& block : down_blocks_) x = block(std::move(x), context, skips);
  if (mid_block_.has_value()) x = (*mid_block_)(std::move(x), context);
  for (size_t i = 0; i < up_blocks_.size(); ++i) {
    // The state below this block's own tells the size to return to; it is twice x's unless an odd size was halved.
    const auto own = static_cast<size_t>(config_.up_blocks[i].layers);
    std::optional<SpatialSize> size;
    if (i + 1 < up_blocks_.size()) size = SizeOf(skips[skips.size() - own - 1]);
    x = up_blocks_[i](std::move(x), context, skips, size);
  }
  return x;
}

void UNetBody::CheckInputs(const at::Tensor& latents, const at::Tensor& timesteps) const {
  TORCH_CHECK_VALUE(latents.dim() == 4 && latents.size(1) == config_.in_channels, "latents must be [R, ",
                    config_.in_channels, ", h, w]");
  TORCH_CHECK_VALUE(timesteps.dim() == 1 && timesteps.size(0) == latents.size(0), "one timestep per row is needed");
}

at::Tensor UNetBody::operator()(const at::Tensor& latents, const UNetContext& context) const {
  at::Tensor x = latents.contiguous(at::MemoryFormat::ChannelsLast);
  if (config_.center_input_sample) x = x.mul(2).sub_(1);
  x = RunBlocks(conv_in_(x), context);
  return conv_out_(conv_norm_out_(x, config_.output_activation)).contiguous();
}

}  // namespace stepcast::model
