#pragma once
// The text-conditioned U-Net of Stable Diffusion (Rombach et al. 2022; SDXL: Podell et al. 2023).

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/denoiser.h"
#include "model/files/load_report.h"
#include "model/layers/linear.h"
#include "model/unet/condition_embedding.h"
#include "model/unet/unet_body.h"
#include "model/unet/unet_config.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Immutable; const methods only, no threads. A block of rows goes through as one batch; rows never mix.
class UNet2DConditionModel final : public Denoiser {
 public:
  // Takes its weights from `weights`, whose Report() tells what was missing.
  UNet2DConditionModel(WeightMap& weights, const UNetConfig& config);

  // Sets prepared_text: the text's keys and values for all layers, some 5 % of a forward.
  Conditioning Prepare(const Conditioning& conditioning) const override;

  // latents [R, in_channels, h, w] of any h and w >= 1 (odd sizes are enlarged to their skip's size on the way up).
  // Reads prompt_embeds; text_embeds and time_ids with text_time; class_labels and guidance_scales where the model
  // has such an input; adds residuals. Throws c10::Error when one of them is missing or has another shape.
  at::Tensor operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                        const Conditioning& conditioning) const override;

  LoraTargets lora_targets() const override { return {{"unet", sites_, DtypeName(dtype_)}}; }

 private:
  at::Tensor TextOf(const Conditioning& conditioning, int64_t rows) const;

  c10::ScalarType dtype_;  // of weights and latents
  UNetBody body_;
  ConditionEmbedding embedding_;
  std::optional<Linear> encoder_hid_proj_;
  std::vector<LoraSite> sites_;
};

}  // namespace stepcast::model
