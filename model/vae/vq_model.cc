#include "model/vae/vq_model.h"

#include <algorithm>
#include <vector>

#include <ATen/ops/cat.h>
#include <ATen/ops/cdist.h>

#include "model/vae/autoencoder_blocks.h"

namespace stepcast::model {
namespace {

// Cells compared with all codes at once: a published model has 8192 codes, which makes 32 MiB.
constexpr int64_t kCellsAtOnce = 1024;

}  // namespace

VqModel::VqModel(WeightMap& weights, const VqModelConfig& config, bool with_encoder)
    : dtype_(weights.dtype()),
      scaling_factor_(config.decoder.scaling_factor),
      codes_((weights.Root() / "quantize" / "embedding")
                 .Get("weight", {config.num_vq_embeddings, config.vq_embed_dim})
                 .to(at::kFloat)),
      post_quant_conv_(weights.Root() / "post_quant_conv", config.vq_embed_dim, config.decoder.latent_channels,
                       kPointwise),
      decoder_(weights.Root() / "decoder", config.decoder) {
  if (with_encoder) {
    encoder_.emplace(weights.Root(), config.decoder,
                     AutoencoderEncoder::Outputs{config.decoder.latent_channels, config.vq_embed_dim});
  }
  weights.IgnorePrefix("encoder.");
  weights.IgnorePrefix("quant_conv.");
}

at::Tensor VqModel::Quantize(const at::Tensor& z) const {
  const at::Tensor cells = z.permute({0, 2, 3, 1}).reshape({-1, z.size(1)});
  std::vector<at::Tensor> nearest;
  // In blocks that no batch moves: distances depend on the shape of the product that makes them.
  const int64_t per_picture = z.size(2) * z.size(3);
  for (int64_t picture = 0; picture < z.size(0); ++picture) {
    for (int64_t first = 0; first < per_picture; first += kCellsAtOnce) {
      const int64_t count = std::min(kCellsAtOnce, per_picture - first);
      nearest.push_back(at::cdist(cells.narrow(0, picture * per_picture + first, count), codes_).argmin(1));
    }
  }
  return codes_.index_select(0, at::cat(nearest))
      .view({z.size(0), z.size(2), z.size(3), z.size(1)})
      .permute({0, 3, 1, 2});
}

EncodedPictures VqModel::Encode(const at::Tensor& pictures) const {
  return {.mean = (*encoder_)(pictures.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast)), .deviation = {}};
}

at::Tensor VqModel::Decode(const at::Tensor& latents) const {
  const at::Tensor codes = Quantize(latents.div(scaling_factor_));
  const at::Tensor z = post_quant_conv_(codes.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
  return decoder_(z).to(at::kFloat).contiguous();
}

}  // namespace stepcast::model
