#pragma once
// TAESD: an autoencoder small enough to look at unfinished pictures (Bohan 2023; diffusers' AutoencoderTiny).

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/latent_codec.h"
#include "model/layers/activations.h"
#include "model/layers/conv2d.h"
#include "model/preview_decoder.h"
#include "model/tiled_codec.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

struct AutoencoderTinyConfig {
  int64_t latent_channels = 4;
  int64_t encoder_width = 64;  // channels of all its layers
  int64_t decoder_width = 64;
  std::vector<int64_t> encoder_blocks = {1, 3, 3, 3};  // per size, from the full one down
  std::vector<int64_t> decoder_blocks = {3, 3, 3, 1};  // per size, up to the full one
  Activation activation = Activation::kRelu;
  double scaling_factor = 1;

  // Pixels per latent cell.
  int64_t scale_factor() const { return int64_t{1} << (decoder_blocks.size() - 1); }
};

// The config.json of an AutoencoderTiny. Errors: INVALID_ARGUMENT listing every bad field.
absl::StatusOr<AutoencoderTinyConfig> ParseAutoencoderTinyConfig(JsonConfig& json);

// Three convolutions beside a skip.
class TinyBlock {
 public:
  TinyBlock(const WeightScope& scope, int64_t channels, Activation activation, SpatialSize usual);
  at::Tensor operator()(const at::Tensor& x) const;  // [B, C, H, W] -> the same

 private:
  Activation activation_;
  std::vector<Conv2d> convolutions_;
};

// Latents to pixels. The layers of one size: blocks, a doubling, and a convolution without bias; at the full size the
// convolution to colours in their place.
class TinyDecoder {
 public:
  // `usual`: of most inputs, see ConvGeometry.
  TinyDecoder(const WeightScope& scope, const AutoencoderTinyConfig& config, SpatialSize usual = {});
  // [B, L, h, w], soft-clamped to -3..3 first -> [B, 3, H, W], nominally in -1..1.
  at::Tensor operator()(const at::Tensor& z) const;

 private:
  struct Size {
    std::vector<TinyBlock> blocks;
    std::optional<Conv2d> convolution;
  };

  Activation activation_;
  std::optional<Conv2d> conv_in_;
  std::vector<Size> sizes_;
};

// Pixels to latents.
class TinyEncoder {
 public:
  TinyEncoder(const WeightScope& scope, const AutoencoderTinyConfig& config);
  // Whether files have an encoder.
  static bool IsIn(const WeightMap& weights) { return weights.Has("encoder.layers.0.weight"); }
  at::Tensor operator()(const at::Tensor& pictures) const;  // [B, 3, H, W] in -1..1 -> [B, L, h, w]

 private:
  struct Size {
    std::optional<Conv2d> convolution;  // the first from colours, the others halve
    std::vector<TinyBlock> blocks;
  };

  std::vector<Size> sizes_;
  std::optional<Conv2d> conv_out_;
};

// Immutable; const methods only, no threads. Pictures of one batch never mix.
class AutoencoderTiny final : public LatentCodec, public TiledCodec, public PreviewDecoder {
 public:
  // Reads both halves; without the encoder it is named to `weights` but not loaded.
  AutoencoderTiny(WeightMap& weights, const AutoencoderTinyConfig& config, bool with_encoder, SpatialSize usual = {});

  at::Tensor Decode(const at::Tensor& latents) const override;
  at::Tensor DecodeTiled(const at::Tensor& latents) const override;
  bool encodes() const override { return encoder_.has_value(); }
  EncodedPictures Encode(const at::Tensor& pictures) const override;
  EncodedPictures EncodeTiled(const at::Tensor& pictures) const override;
  TiledWork BeginDecode(const at::Tensor& latents) const override;
  TiledWork BeginEncode(const at::Tensor& pictures) const override;
  EncodedPictures Encoded(const at::Tensor& output) const override { return {.mean = output, .deviation = {}}; }
  at::Tensor Scaled(const at::Tensor& code) const override { return code.mul(scaling_factor_); }
  c10::ScalarType dtype() const override { return dtype_; }

 private:
  at::Tensor Codes(const at::Tensor& pictures) const;
  at::Tensor Prepare(const at::Tensor& latents) const;

  c10::ScalarType dtype_;
  int64_t factor_;
  double scaling_factor_;
  TinyDecoder decoder_;
  std::optional<TinyEncoder> encoder_;
};

}  // namespace stepcast::model
