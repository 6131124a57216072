#include "model/unet/unet_blocks.h"

#include <utility>

#include <ATen/ops/cat.h>

namespace stepcast::model {
namespace {

ResnetOptions Resnet(const UNetBlockOptions& options, int64_t in, int64_t out, Resample resample = Resample::kNone) {
  ResnetOptions resnet = options.resnet;
  resnet.in = in;
  resnet.out = out;
  resnet.resample = resample;
  resnet.usual = options.usual;
  return resnet;
}

}  // namespace

BlockAttentionLayer::BlockAttentionLayer(const WeightScope& scope, const UNetBlockOptions& options, int64_t layer) {
  if (options.attention == BlockAttention::kTransformer) {
    TransformerOptions transformer = options.transformer;
    transformer.channels = options.out;
    transformer.layers = options.transformer_layers[static_cast<size_t>(layer)];
    transformer.groups = options.resnet.groups;
    layer_.emplace<Transformer2DModel>(scope / "attentions" / layer, transformer);
  } else if (options.attention == BlockAttention::kSpatial) {
    layer_.emplace<AttentionBlock>(
        scope / "attentions" / layer,
        AttentionBlock::Options{.channels = options.out,
                                .heads = options.transformer.heads,
                                .groups = options.attention_groups.value_or(options.resnet.groups),
                                .eps = options.resnet.eps,
                                .output_scale = options.resnet.output_scale});
  }
}

at::Tensor BlockAttentionLayer::operator()(at::Tensor x, const UNetContext& context) const {
  if (const auto* transformer = std::get_if<Transformer2DModel>(&layer_))
    return (*transformer)(x, context.text, context.adapters);
  if (const auto* attention = std::get_if<AttentionBlock>(&layer_)) return (*attention)(x, context.adapters);
  return x;
}

DownBlock::DownBlock(const WeightScope& scope, const UNetBlockOptions& options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    const int64_t in = i == 0 ? options.in : options.out;
    resnets_.emplace_back(scope / "resnets" / i, Resnet(options, in, options.out));
    attentions_.emplace_back(scope, options, i);
  }
  if (!options.resample) return;
  const WeightScope downsampler = scope / "downsamplers" / 0;
  if (options.resampler == BlockResampler::kResnet) {
    downsampler_.emplace<ResnetBlock2D>(downsampler, Resnet(options, options.out, options.out, Resample::kDown));
  } else {
    downsampler_.emplace<Downsample2D>(downsampler, options.out, options.out, options.downsample_padding,
                                       options.usual);
  }
}

at::Tensor DownBlock::operator()(at::Tensor x, const UNetContext& context, std::vector<at::Tensor>& skips) const {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    x = attentions_[i](resnets_[i](x, context.time, context.adapters), context);
    skips.push_back(x);
  }
  if (const auto* conv = std::get_if<Downsample2D>(&downsampler_)) {
    skips.push_back(x = (*conv)(x, context.adapters));
  } else if (const auto* resnet = std::get_if<ResnetBlock2D>(&downsampler_)) {
    skips.push_back(x = (*resnet)(x, context.time, context.adapters));
  }
  return x;
}

MidBlock::MidBlock(const WeightScope& scope, const UNetBlockOptions& options) {
  for (int64_t i = 0; i <= options.layers; ++i) {
    resnets_.emplace_back(scope / "resnets" / i, Resnet(options, options.in, options.out));
    if (i < options.layers) attentions_.emplace_back(scope, options, i);
  }
}

at::Tensor MidBlock::operator()(at::Tensor x, const UNetContext& context) const {
  x = resnets_.front()(x, context.time, context.adapters);
  for (size_t i = 0; i < attentions_.size(); ++i) {
    x = resnets_[i + 1](attentions_[i](std::move(x), context), context.time, context.adapters);
  }
  return x;
}

UpBlock::UpBlock(const WeightScope& scope, const UNetBlockOptions& options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    const int64_t from_below = i == 0 ? options.previous : options.out;
    const int64_t from_skip = i + 1 == options.layers ? options.in : options.out;
    resnets_.emplace_back(scope / "resnets" / i, Resnet(options, from_below + from_skip, options.out));
    attentions_.emplace_back(scope, options, i);
  }
  if (!options.resample) return;
  const WeightScope upsampler = scope / "upsamplers" / 0;
  if (options.resampler == BlockResampler::kResnet) {
    upsampler_.emplace<ResnetBlock2D>(upsampler, Resnet(options, options.out, options.out, Resample::kUp));
  } else {
    upsampler_.emplace<Upsample2D>(upsampler, options.out, options.out, options.usual);
  }
}

at::Tensor UpBlock::operator()(at::Tensor x, const UNetContext& context, std::vector<at::Tensor>& skips,
                               std::optional<SpatialSize> size) const {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    const at::Tensor joined = at::cat({x, skips.back()}, 1);
    skips.pop_back();
    x = attentions_[i](resnets_[i](joined, context.time, context.adapters), context);
  }
  if (const auto* conv = std::get_if<Upsample2D>(&upsampler_)) return (*conv)(x, size, context.adapters);
  if (const auto* resnet = std::get_if<ResnetBlock2D>(&upsampler_)) return (*resnet)(x, context.time, context.adapters);
  return x;
}

}  // namespace stepcast::model
