#include "model/vae/autoencoder_encoder.h"

#include <utility>

#include "model/vae/autoencoder_blocks.h"

namespace stepcast::model {

DownEncoderBlock2D::DownEncoderBlock2D(const WeightScope& scope, const UNetBlockOptions& options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    ResnetOptions resnet = options.resnet;
    resnet.in = i == 0 ? options.in : options.out;
    resnet.out = options.out;
    resnets_.emplace_back(scope / "resnets" / i, resnet);
  }
  if (options.resample) downsampler_.emplace(scope / "downsamplers" / 0, options.out, options.out, /*padding=*/0);
}

at::Tensor DownEncoderBlock2D::operator()(at::Tensor x) const {
  for (const ResnetBlock2D& resnet : resnets_) x = resnet(x, {});
  return downsampler_.has_value() ? (*downsampler_)(x) : x;
}

AutoencoderEncoder::AutoencoderEncoder(const WeightScope& root, const AutoencoderConfig& config, const Outputs& outputs)
    : activation_(config.activation),
      conv_in_(root / "encoder" / "conv_in", config.in_channels, config.block_out_channels.front()),
      mid_block_(root / "encoder" / "mid_block", AutoencoderMidOptions(config)),
      conv_norm_out_(root / "encoder" / "conv_norm_out", config.block_out_channels.back(), config.norm_num_groups,
                     kAutoencoderNormEps),
      conv_out_(root / "encoder" / "conv_out", config.block_out_channels.back(), outputs.encoder) {
  UNetBlockOptions options = AutoencoderBlockOptions(config);
  options.layers = config.layers_per_block;
  options.in = config.block_out_channels.front();
  const size_t blocks = config.block_out_channels.size();
  for (size_t i = 0; i < blocks; ++i) {
    options.out = config.block_out_channels[i];
    options.resample = i + 1 < blocks;
    down_blocks_.emplace_back(root / "encoder" / "down_blocks" / static_cast<int64_t>(i), options);
    options.in = options.out;
  }
  if (outputs.quant_conv.has_value()) {
    quant_conv_.emplace(root / "quant_conv", outputs.encoder, *outputs.quant_conv, kPointwise);
  }
}

at::Tensor AutoencoderEncoder::operator()(const at::Tensor& pictures) const {
  at::Tensor x = conv_in_(pictures);
  for (const DownEncoderBlock2D& block : down_blocks_) x = block(std::move(x));
  x = conv_out_(conv_norm_out_(mid_block_(std::move(x), {}), activation_));
  if (quant_conv_.has_value()) x = (*quant_conv_)(x);
  return x.to(at::kFloat).contiguous();
}

}  // namespace stepcast::model
