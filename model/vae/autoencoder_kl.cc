#include "model/vae/autoencoder_kl.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/tensor.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "model/vae/autoencoder_blocks.h"

namespace stepcast::model {
namespace {

// Of the logarithm of a posterior's variance.
constexpr double kLeastLogVariance = -30;
constexpr double kMostLogVariance = 20;

EncodedPictures FromMoments(const at::Tensor& moments) {
  const int64_t channels = moments.size(1) / 2;
  return {
      .mean = moments.narrow(1, 0, channels).contiguous(),
      .deviation = moments.narrow(1, channels, channels).clamp(kLeastLogVariance, kMostLogVariance).mul_(0.5).exp_()};
}

at::Tensor PerChannel(const std::vector<double>& values, c10::Device device) {
  return at::tensor(values, at::kFloat).view({1, -1, 1, 1}).to(device);
}

}  // namespace

UpDecoderBlock2D::UpDecoderBlock2D(const WeightScope& scope, const UNetBlockOptions& options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    ResnetOptions resnet = options.resnet;
    resnet.in = i == 0 ? options.in : options.out;
    resnet.out = options.out;
    resnets_.emplace_back(scope / "resnets" / i, resnet);
  }
  if (options.resample) upsampler_.emplace(scope / "upsamplers" / 0, options.out, options.out);
}

at::Tensor UpDecoderBlock2D::operator()(at::Tensor x) const {
  for (const ResnetBlock2D& resnet : resnets_) x = resnet(x, {});
  return upsampler_.has_value() ? (*upsampler_)(x) : x;
}

AutoencoderDecoder::AutoencoderDecoder(const WeightScope& scope, const AutoencoderConfig& config)
    : activation_(config.activation),
      conv_in_(scope / "conv_in", config.latent_channels, config.block_out_channels.back()),
      mid_block_(scope / "mid_block", AutoencoderMidOptions(config)),
      conv_norm_out_(scope / "conv_norm_out", config.block_out_channels.front(), config.norm_num_groups,
                     kAutoencoderNormEps),
      conv_out_(scope / "conv_out", config.block_out_channels.front(), config.out_channels) {
  UNetBlockOptions options = AutoencoderBlockOptions(config);
  options.layers = config.layers_per_block + 1;
  options.in = config.block_out_channels.back();
  const size_t blocks = config.block_out_channels.size();
  for (size_t i = 0; i < blocks; ++i) {
    options.out = config.block_out_channels[blocks - 1 - i];
    options.resample = i + 1 < blocks;
    up_blocks_.emplace_back(scope / "up_blocks" / static_cast<int64_t>(i), options);
    options.in = options.out;
  }
}

at::Tensor AutoencoderDecoder::operator()(const at::Tensor& z) const {
  at::Tensor x = mid_block_(conv_in_(z), {});
  for (const UpDecoderBlock2D& block : up_blocks_) x = block(std::move(x));
  return conv_out_(conv_norm_out_(x, activation_));
}

AutoencoderKL::AutoencoderKL(WeightMap& weights, const AutoencoderConfig& config, bool with_encoder)
    : dtype_(weights.dtype()),
      grid_(TileGrid::Of(config.sample_size, config.scale_factor())),
      decoder_(weights.Root() / "decoder", config) {
  if (config.use_post_quant_conv) {
    post_quant_conv_.emplace(weights.Root() / "post_quant_conv", config.latent_channels, config.latent_channels,
                             kPointwise);
  }
  if (with_encoder) {
    const int64_t moments = 2 * config.latent_channels;
    encoder_.emplace(
        weights.Root(), config,
        AutoencoderEncoder::Outputs{moments, config.use_quant_conv ? std::optional<int64_t>(moments) : std::nullopt});
  }
  weights.IgnorePrefix("encoder.");
  weights.IgnorePrefix("quant_conv.");
  std::vector<double> scale(static_cast<size_t>(config.latent_channels), 1 / config.scaling_factor);
  std::vector<double> shift(scale.size(), config.shift_factor);
  if (!config.latents_mean.empty()) {
    for (size_t i = 0; i < scale.size(); ++i) scale[i] = config.latents_std[i] / config.scaling_factor;
    shift = config.latents_mean;
  }
  scale_ = PerChannel(scale, weights.device());
  shift_ = PerChannel(shift, weights.device());
}

at::Tensor AutoencoderKL::Unscaled(const at::Tensor& latents) const { return latents.mul(scale_).add_(shift_); }

at::Tensor AutoencoderKL::DecodeUnscaled(const at::Tensor& unscaled) const {
  at::Tensor z = unscaled.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  if (post_quant_conv_.has_value()) z = (*post_quant_conv_)(z);
  return decoder_(z).to(at::kFloat).contiguous();
}

at::Tensor AutoencoderKL::Decode(const at::Tensor& latents) const { return DecodeUnscaled(Unscaled(latents)); }

TiledWork AutoencoderKL::BeginDecode(const at::Tensor& latents) const {
  return TiledWork::Decode(Unscaled(latents), grid_, [this](const at::Tensor& z) { return DecodeUnscaled(z); });
}

at::Tensor AutoencoderKL::DecodeTiled(const at::Tensor& latents) const { return BeginDecode(latents).Finish(); }

at::Tensor AutoencoderKL::Moments(const at::Tensor& pictures) const {
  return (*encoder_)(pictures.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
}

EncodedPictures AutoencoderKL::Encode(const at::Tensor& pictures) const { return FromMoments(Moments(pictures)); }

TiledWork AutoencoderKL::BeginEncode(const at::Tensor& pictures) const {
  return TiledWork::Encode(pictures, grid_, [this](const at::Tensor& tile) { return Moments(tile); });
}

EncodedPictures AutoencoderKL::Encoded(const at::Tensor& output) const { return FromMoments(output); }

EncodedPictures AutoencoderKL::EncodeTiled(const at::Tensor& pictures) const {
  return Encoded(BeginEncode(pictures).Finish());
}

at::Tensor AutoencoderKL::Scaled(const at::Tensor& code) const { return code.sub(shift_).div_(scale_); }

std::string CanonicalAutoencoderName(absl::string_view name) {
  if (!absl::StrContains(name, ".attentions.")) return std::string(name);
  return absl::StrReplaceAll(
      name, {{".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}});
}

}  // namespace stepcast::model
