#include "model/unet/unet_encoder.h"

#include <utility>

#include "model/unet/block_options.h"

namespace stepcast::model {

UNetEncoder::UNetEncoder(WeightMap& weights, const UNetConfig& config, const UNetBlockOptions& common)
    : conv_in_(weights.Root() / "conv_in", config.in_channels, config.first_channels(),
               SameSize(config, config.conv_in_kernel)) {
  const WeightScope root = weights.Root();
  const std::vector<SpatialSize> usual = UsualSizes(config);
  int64_t channels = config.first_channels();
  for (size_t i = 0; i < config.down_blocks.size(); ++i) {
    UNetBlockOptions options = WithBlock(common, config, config.down_blocks[i]);
    options.in = channels;
    options.usual = usual[i];
    options.resample = i + 1 < config.down_blocks.size();
    down_blocks_.emplace_back(root / "down_blocks" / static_cast<int64_t>(i), options);
    channels = options.out;
  }
  if (config.mid_block != MidBlockKind::kNone) mid_block_.emplace(root / "mid_block", WithMid(common, config));
}

at::Tensor UNetEncoder::operator()(at::Tensor x, const UNetContext& context, std::vector<at::Tensor>& skips) const {
  skips = {x};
  for (const DownBlock& block : down_blocks_) x = block(std::move(x), context, skips);
  if (mid_block_.has_value()) x = (*mid_block_)(std::move(x), context);
  return x;
}

std::vector<int64_t> SkipChannels(const UNetConfig& config) {
  std::vector<int64_t> channels = {config.first_channels()};
  for (size_t i = 0; i < config.down_blocks.size(); ++i) {
    const UNetBlockConfig& block = config.down_blocks[i];
    const bool halves = i + 1 < config.down_blocks.size();
    channels.insert(channels.end(), static_cast<size_t>(block.layers + (halves ? 1 : 0)), block.channels);
  }
  return channels;
}

}  // namespace stepcast::model
