#pragma once
// The encoder half of an autoencoder (Kingma & Welling 2014; Rombach et al. 2022).

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/layers/conv2d.h"
#include "model/layers/normalization.h"
#include "model/layers/resampling.h"
#include "model/layers/resnet_block_2d.h"
#include "model/unet/unet_blocks.h"
#include "model/vae/autoencoder_config.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Resnets without a time embedding, then a halving of the size that pads at the bottom and right alone.
class DownEncoderBlock2D {
 public:
  DownEncoderBlock2D(const WeightScope& scope, const UNetBlockOptions& options);
  at::Tensor operator()(at::Tensor x) const;  // [B, in, H, W] -> [B, out, H / 2, W / 2] (H, W in the last block)

 private:
  std::vector<ResnetBlock2D> resnets_;
  std::optional<Downsample2D> downsampler_;
};

// Pixels to what the latents are made of: conv_in, one down block per level, mid block, norm, conv_out; and the
// pointwise convolution behind it, which files keep outside of the encoder.
class AutoencoderEncoder {
 public:
  // What one encoder gives per cell.
  struct Outputs {
    int64_t encoder = 0;
    std::optional<int64_t> quant_conv = std::nullopt;  // nullopt: there is none
  };

  // Reads encoder.* and quant_conv.* below `root`.
  AutoencoderEncoder(const WeightScope& root, const AutoencoderConfig& config, const Outputs& outputs);

  // Whether files have an encoder.
  static bool IsIn(const WeightMap& weights) { return weights.Has("encoder.conv_in.weight"); }

  // pictures [B, 3, H, W] in the weights' type, in [-1, 1], sides multiples of the scale factor -> [B, outputs, h, w]
  // float32.
  at::Tensor operator()(const at::Tensor& pictures) const;

 private:
  Activation activation_;
  Conv2d conv_in_;
  std::vector<DownEncoderBlock2D> down_blocks_;
  MidBlock mid_block_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
  std::optional<Conv2d> quant_conv_;
};

}  // namespace stepcast::model
