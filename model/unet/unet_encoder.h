#pragma once
// The way down of a U-Net and its middle: what the U-Net itself runs, and what a ControlNet has a copy of.

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/layers/conv2d.h"
#include "model/unet/unet_blocks.h"
#include "model/unet/unet_config.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// conv_in, down blocks, mid block. Immutable; const methods only, no threads.
class UNetEncoder {
 public:
  // `common`: CommonOptions(config, ...); the stacks that it names must live until they are sealed.
  UNetEncoder(WeightMap& weights, const UNetConfig& config, const UNetBlockOptions& common);

  // conv_in of latents [R, in_channels, h, w], channels last in memory.
  at::Tensor ConvIn(const at::Tensor& latents, const RowAdapters* adapters = nullptr) const {
    return conv_in_(latents, adapters);
  }

  // What comes of x = ConvIn(latents) in the middle. `skips` becomes x and the output of every layer on the way; none
  // of them is read any more.
  at::Tensor operator()(at::Tensor x, const UNetContext& context, std::vector<at::Tensor>& skips) const;

 private:
  Conv2d conv_in_;
  std::vector<DownBlock> down_blocks_;
  std::optional<MidBlock> mid_block_;
};

// Channels of each of the `skips` of a UNetEncoder.
std::vector<int64_t> SkipChannels(const UNetConfig& config);

}  // namespace stepcast::model
