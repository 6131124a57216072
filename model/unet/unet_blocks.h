#pragma once
// The blocks of U-Nets, by diffusers' description of their order. A block's variants differ in what follows each
// resnet and in how the spatial size changes at the end; names of the combinations are in unet_config.cc.

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/layers/attention.h"
#include "model/layers/resampling.h"
#include "model/layers/resnet_block_2d.h"
#include "model/layers/transformer_2d.h"
#include "model/unet/unet_config.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// What every block of one forward pass reads.
struct UNetContext {
  at::Tensor time;  // [B, *]: all time projections; undefined: none
  AttentionContext
      text;  // states [B, S, *]: all text projections (or the text itself, for blocks built without a stack)
  const RowAdapters* adapters = nullptr;  // null: no row has any
};

struct UNetBlockOptions {
  int64_t in = 0;
  int64_t out = 0;
  int64_t previous = 0;  // up blocks: channels that come from the block before
  int64_t layers = 1;
  SpatialSize usual = {};  // of most inputs, see ConvGeometry
  ResnetOptions resnet;    // in, out and usual are set by the block
  BlockAttention attention = BlockAttention::kNone;
  std::vector<int64_t> transformer_layers;  // one per layer
  TransformerOptions transformer;           // channels and layers are set by the block
  std::optional<int64_t> attention_groups;  // of spatial attention, 0: no norm; nullopt: the resnets'
  BlockResampler resampler = BlockResampler::kConv;
  bool resample = false;  // false in the last block
  int64_t downsample_padding = 1;
};

// What follows a resnet: nothing, a transformer with text, or attention over the picture alone.
class BlockAttentionLayer {
 public:
  BlockAttentionLayer(const WeightScope& scope, const UNetBlockOptions& options, int64_t layer);
  at::Tensor operator()(at::Tensor x, const UNetContext& context) const;

 private:
  std::variant<std::monostate, Transformer2DModel, AttentionBlock> layer_;
};

// Resnets and attentions, then a halving of the size. Every state is kept for the way up.
class DownBlock {
 public:
  DownBlock(const WeightScope& scope, const UNetBlockOptions& options);
  // Appends each layer's output, and the halved one, to `skips`.
  at::Tensor operator()(at::Tensor x, const UNetContext& context, std::vector<at::Tensor>& skips) const;

 private:
  std::vector<ResnetBlock2D> resnets_;
  std::vector<BlockAttentionLayer> attentions_;
  std::variant<std::monostate, Downsample2D, ResnetBlock2D> downsampler_;
};

// A resnet, then `layers` times attention and resnet.
class MidBlock {
 public:
  MidBlock(const WeightScope& scope, const UNetBlockOptions& options);
  at::Tensor operator()(at::Tensor x, const UNetContext& context) const;

 private:
  std::vector<ResnetBlock2D> resnets_;
  std::vector<BlockAttentionLayer> attentions_;
};

// Resnets that each take one kept state, attentions, then a doubling of the size.
class UpBlock {
 public:
  UpBlock(const WeightScope& scope, const UNetBlockOptions& options);
  // Takes its states off the end of `skips`. `size`: what to enlarge to, when not twice the size.
  at::Tensor operator()(at::Tensor x, const UNetContext& context, std::vector<at::Tensor>& skips,
                        std::optional<SpatialSize> size) const;

 private:
  std::vector<ResnetBlock2D> resnets_;
  std::vector<BlockAttentionLayer> attentions_;
  std::variant<std::monostate, Upsample2D, ResnetBlock2D> upsampler_;
};

}  // namespace stepcast::model
