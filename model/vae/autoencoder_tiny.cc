#include "model/vae/autoencoder_tiny.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/tanh.h>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/layers/resampling.h"
#include "model/vae/tiling.h"

namespace stepcast::model {
namespace {

constexpr int64_t kColours = 3;

// The width of all sizes. diffusers' own class cannot be built with different ones.
int64_t Width(JsonConfig& json, absl::string_view key, size_t sizes) {
  const std::vector<int64_t> widths = json.Ints(key, std::vector<int64_t>(sizes, 64), 1, 1 << 16);
  const bool equal = std::all_of(widths.begin(), widths.end(), [&](int64_t width) { return width == widths.front(); });
  if (widths.size() != sizes) json.Problem(key, absl::StrCat("one per number of blocks (", sizes, ") is needed"));
  if (!equal) json.Problem(key, "all sizes must have the same number of channels");
  return widths.front();
}

ConvGeometry WithoutBias(int64_t stride, SpatialSize usual = {}) {
  return {.kernel = 3, .stride = stride, .padding = 1, .usual = usual, .bias = false};
}

}  // namespace

absl::StatusOr<AutoencoderTinyConfig> ParseAutoencoderTinyConfig(JsonConfig& json) {
  AutoencoderTinyConfig config;
  for (const char* key : {"in_channels", "out_channels"}) json.Int(key, kColours, kColours, kColours);
  config.latent_channels = json.Int("latent_channels", config.latent_channels, 1, 256);
  config.encoder_blocks = json.Ints("num_encoder_blocks", config.encoder_blocks, 0, 64);
  config.decoder_blocks = json.Ints("num_decoder_blocks", config.decoder_blocks, 0, 64);
  for (const char* key : {"num_encoder_blocks", "num_decoder_blocks"}) {
    const auto& blocks = key[4] == 'e' ? config.encoder_blocks : config.decoder_blocks;
    if (blocks.size() > 8) json.Problem(key, "at most 8 sizes are supported");
  }
  config.encoder_width = Width(json, "encoder_block_out_channels", config.encoder_blocks.size());
  config.decoder_width = Width(json, "decoder_block_out_channels", config.decoder_blocks.size());
  const absl::StatusOr<Activation> activation = ParseActivation(json.String("act_fn", "relu"));
  if (activation.ok()) {
    config.activation = *activation;
  } else {
    json.Problem("act_fn", activation.status().message());
  }
  json.Int("upsampling_scaling_factor", 2, 2, 2);
  json.Refuse("upsample_fn", "nearest");
  config.scaling_factor = json.Double("scaling_factor", config.scaling_factor);
  if (config.scaling_factor == 0) json.Problem("scaling_factor", "must not be 0");
  if (json.Double("shift_factor", 0) != 0) json.Problem("shift_factor", "only 0 is supported");
  // Of latents that are kept as 8-bit pictures, of training, and a copy.
  json.Ignore({"latent_magnitude", "latent_shift", "force_upcast", "block_out_channels"});
  json.Refuse("quantization_config");
  STEPCAST_RETURN_IF_ERROR(json.Finish());
  return config;
}

TinyBlock::TinyBlock(const WeightScope& scope, int64_t channels, Activation activation, SpatialSize usual)
    : activation_(activation) {
  // Activations take the places between.
  for (const int64_t place : {0, 2, 4}) {
    convolutions_.emplace_back(scope / "conv" / place, channels, channels, ConvGeometry{.usual = usual});
  }
}

at::Tensor TinyBlock::operator()(const at::Tensor& x) const {
  at::Tensor hidden = ActivateInPlace(convolutions_[0](x), activation_);
  hidden = ActivateInPlace(convolutions_[1](hidden), activation_);
  return ActivateInPlace(convolutions_[2].AddTo(x, hidden), Activation::kRelu);
}

TinyDecoder::TinyDecoder(const WeightScope& scope, const AutoencoderTinyConfig& config, SpatialSize usual)
    : activation_(config.activation) {
  const WeightScope layers = scope / "layers";
  const int64_t width = config.decoder_width;
  conv_in_.emplace(layers / 0, config.latent_channels, width, ConvGeometry{.usual = usual});
  int64_t place = 2;  // behind the activation
  for (size_t i = 0; i < config.decoder_blocks.size(); ++i) {
    Size& size = sizes_.emplace_back();
    for (int64_t n = 0; n < config.decoder_blocks[i]; ++n) {
      size.blocks.emplace_back(layers / place++, width, config.activation, usual);
    }
    if (i + 1 == config.decoder_blocks.size()) {
      size.convolution.emplace(layers / place, width, kColours, ConvGeometry{.usual = usual});
    } else {
      usual = Doubled(usual);
      size.convolution.emplace(layers / (place + 1), width, width, WithoutBias(1, usual));
      place += 2;
    }
  }
}

at::Tensor TinyDecoder::operator()(const at::Tensor& z) const {
  at::Tensor x = ActivateInPlace((*conv_in_)(at::tanh(z.div(3)).mul_(3)), activation_);
  for (const Size& size : sizes_) {
    for (const TinyBlock& block : size.blocks) x = block(x);
    x = (*size.convolution)(&size == &sizes_.back() ? x : UpsampleNearest(x));
  }
  return x.mul_(2).sub_(1);
}

TinyEncoder::TinyEncoder(const WeightScope& scope, const AutoencoderTinyConfig& config) {
  const WeightScope layers = scope / "layers";
  const int64_t width = config.encoder_width;
  int64_t place = 0;
  for (size_t i = 0; i < config.encoder_blocks.size(); ++i) {
    Size& size = sizes_.emplace_back();
    if (i == 0) {
      size.convolution.emplace(layers / place++, kColours, width);
    } else {
      size.convolution.emplace(layers / place++, width, width, WithoutBias(2));
    }
    for (int64_t n = 0; n < config.encoder_blocks[i]; ++n) {
      size.blocks.emplace_back(layers / place++, width, config.activation, SpatialSize{});
    }
  }
  conv_out_.emplace(layers / place, width, config.latent_channels);
}

at::Tensor TinyEncoder::operator()(const at::Tensor& pictures) const {
  at::Tensor x = pictures.add(1).div_(2);
  for (const Size& size : sizes_) {
    x = (*size.convolution)(x);
    for (const TinyBlock& block : size.blocks) x = block(x);
  }
  return (*conv_out_)(x);
}

AutoencoderTiny::AutoencoderTiny(WeightMap& weights, const AutoencoderTinyConfig& config, bool with_encoder,
                                 SpatialSize usual)
    : dtype_(weights.dtype()),
      factor_(config.scale_factor()),
      scaling_factor_(config.scaling_factor),
      decoder_(weights.Root() / "decoder", config, usual) {
  if (with_encoder) encoder_.emplace(weights.Root() / "encoder", config);
  weights.IgnorePrefix("encoder.");
}

at::Tensor AutoencoderTiny::Codes(const at::Tensor& pictures) const {
  return (*encoder_)(pictures.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast)).to(at::kFloat).contiguous();
}

EncodedPictures AutoencoderTiny::Encode(const at::Tensor& pictures) const {
  return {.mean = Codes(pictures), .deviation = {}};
}

TiledWork AutoencoderTiny::BeginEncode(const at::Tensor& pictures) const {
  return TiledWork::EncodeMasked(pictures, factor_, [this](const at::Tensor& tile) { return Codes(tile); });
}

EncodedPictures AutoencoderTiny::EncodeTiled(const at::Tensor& pictures) const {
  return Encoded(BeginEncode(pictures).Finish());
}

at::Tensor AutoencoderTiny::Prepare(const at::Tensor& latents) const {
  return latents.div(scaling_factor_).to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor AutoencoderTiny::Decode(const at::Tensor& latents) const {
  return decoder_(Prepare(latents)).to(at::kFloat).contiguous();
}

TiledWork AutoencoderTiny::BeginDecode(const at::Tensor& latents) const {
  return TiledWork::DecodeMasked(Prepare(latents), factor_,
                                 [this](const at::Tensor& z) { return decoder_(z).to(at::kFloat); });
}

at::Tensor AutoencoderTiny::DecodeTiled(const at::Tensor& latents) const { return BeginDecode(latents).Finish(); }

}  // namespace stepcast::model
