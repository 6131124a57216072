#pragma once
// A KL autoencoder (Kingma & Welling 2014; Rombach et al. 2022), and the decoder that others share with it.

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/strings/string_view.h"
#include "model/latent_codec.h"
#include "model/layers/conv2d.h"
#include "model/layers/normalization.h"
#include "model/layers/resampling.h"
#include "model/layers/resnet_block_2d.h"
#include "model/tiled_codec.h"
#include "model/unet/unet_blocks.h"
#include "model/vae/autoencoder_config.h"
#include "model/vae/autoencoder_encoder.h"
#include "model/vae/tiling.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Resnets without a time embedding, then a doubling of the size.
class UpDecoderBlock2D {
 public:
  UpDecoderBlock2D(const WeightScope& scope, const UNetBlockOptions& options);
  at::Tensor operator()(at::Tensor x) const;  // [B, in, H, W] -> [B, out, 2H, 2W] (H, W in the last block)

 private:
  std::vector<ResnetBlock2D> resnets_;
  std::optional<Upsample2D> upsampler_;
};

// Latents to pixels: conv_in, mid block, one up block per level, norm, conv_out.
class AutoencoderDecoder {
 public:
  AutoencoderDecoder(const WeightScope& scope, const AutoencoderConfig& config);
  at::Tensor operator()(const at::Tensor& z) const;  // [B, L, h, w] -> [B, 3, H, W]

 private:
  Activation activation_;
  Conv2d conv_in_;
  MidBlock mid_block_;
  std::vector<UpDecoderBlock2D> up_blocks_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
};

// Immutable; const methods only, no threads. Pictures of one batch never mix.
class AutoencoderKL final : public LatentCodec, public TiledCodec {
 public:
  // Reads both halves; without the encoder it is named to `weights` but not loaded.
  AutoencoderKL(WeightMap& weights, const AutoencoderConfig& config, bool with_encoder);

  at::Tensor Decode(const at::Tensor& latents) const override;
  at::Tensor DecodeTiled(const at::Tensor& latents) const override;
  bool encodes() const override { return encoder_.has_value(); }
  EncodedPictures Encode(const at::Tensor& pictures) const override;
  EncodedPictures EncodeTiled(const at::Tensor& pictures) const override;
  TiledWork BeginDecode(const at::Tensor& latents) const override;
  TiledWork BeginEncode(const at::Tensor& pictures) const override;
  EncodedPictures Encoded(const at::Tensor& output) const override;
  at::Tensor Scaled(const at::Tensor& code) const override;
  c10::ScalarType dtype() const override { return dtype_; }

 private:
  // [B, L, h, w] float32, as the encoder made them.
  at::Tensor Unscaled(const at::Tensor& latents) const;
  at::Tensor DecodeUnscaled(const at::Tensor& z) const;
  at::Tensor Moments(const at::Tensor& pictures) const;  // [B, 2L, h, w]: mean and logarithm of the variance

  c10::ScalarType dtype_;
  TileGrid grid_;
  at::Tensor scale_;  // [1, L, 1, 1] float32: z = latents * scale + shift
  at::Tensor shift_;
  std::optional<Conv2d> post_quant_conv_;
  AutoencoderDecoder decoder_;
  std::optional<AutoencoderEncoder> encoder_;
};

// Renames the attention of older files (query, key, value, proj_attn).
std::string CanonicalAutoencoderName(absl::string_view name);

}  // namespace stepcast::model
