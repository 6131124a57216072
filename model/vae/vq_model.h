#pragma once
// A vector-quantised autoencoder (van den Oord et al. 2017; Esser et al. 2021).

#include <optional>

#include <ATen/core/Tensor.h>

#include "model/latent_codec.h"
#include "model/layers/conv2d.h"
#include "model/vae/autoencoder_kl.h"
#include "model/vae/vq_model_config.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Immutable; const methods only, no threads. Pictures of one batch never mix.
class VqModel final : public LatentCodec {
 public:
  // Reads the codes and both halves; without the encoder it is named to `weights` but not loaded.
  VqModel(WeightMap& weights, const VqModelConfig& config, bool with_encoder);

  // latents [B, vq_embed_dim, h, w]: each cell is replaced by the code that is nearest to it.
  at::Tensor Decode(const at::Tensor& latents) const override;
  bool encodes() const override { return encoder_.has_value(); }
  // What the encoder says, not yet replaced by codes: Decode does that.
  EncodedPictures Encode(const at::Tensor& pictures) const override;
  at::Tensor Scaled(const at::Tensor& code) const override { return code.mul(scaling_factor_); }
  c10::ScalarType dtype() const override { return dtype_; }

 private:
  // [B, D, h, w] float32 -> the same of codes.
  at::Tensor Quantize(const at::Tensor& z) const;

  c10::ScalarType dtype_;
  double scaling_factor_;
  at::Tensor codes_;  // [num_vq_embeddings, vq_embed_dim] float32
  Conv2d post_quant_conv_;
  AutoencoderDecoder decoder_;
  std::optional<AutoencoderEncoder> encoder_;
};

}  // namespace stepcast::model
