#pragma once
// The part that all U-Nets share: everything between the embeddings and the prediction.

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"
#include "model/conditioner.h"
#include "model/layers/conv2d.h"
#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/unet/unet_blocks.h"
#include "model/unet/unet_config.h"
#include "model/unet/unet_encoder.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// conv_in, down blocks, mid block, up blocks, conv_norm_out, conv_out. Immutable; const methods only, no threads.
class UNetBody {
 public:
  UNetBody(WeightMap& weights, const UNetConfig& config);

  // Whether blocks attend to text.
  bool reads_text() const { return !text_projections_.empty(); }
  // UNetContext::time of act(time embedding) [R, time_embedding_dim].
  at::Tensor ProjectTime(const at::Tensor& embedding, const RowAdapters* adapters = nullptr) const {
    return time_projections_(embedding, adapters);
  }
  // UNetContext::text of the text [R, S, cross_attention_dim]. REQUIRES: reads_text().
  at::Tensor ProjectText(const at::Tensor& text, const RowAdapters* adapters = nullptr) const {
    return text_projections_(text, adapters);
  }

  // Throws c10::Error unless latents are [R, in_channels, h, w] and timesteps [R].
  void CheckInputs(const at::Tensor& latents, const at::Tensor& timesteps) const;

  // latents of any h and w >= 1 (odd sizes are enlarged to their skip's size on the way up). Returns
  // [R, out_channels, h, w], contiguous. `residuals` are added to what they name. Throws c10::Error where those do not
  // fit.
  at::Tensor operator()(const at::Tensor& latents, const UNetContext& context,
                        absl::Span<const RowResiduals> residuals = {}) const;

 private:
  at::Tensor RunBlocks(at::Tensor x, const UNetContext& context, absl::Span<const RowResiduals> residuals) const;

  UNetConfig config_;
  StackedLinear time_projections_;
  StackedLinear text_projections_;
  UNetEncoder encoder_;
  std::vector<UpBlock> up_blocks_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;
};

}  // namespace stepcast::model
