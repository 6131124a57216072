#pragma once
// The U-Net without text of diffusers: unconditional (Ho et al. 2020) or told a class (Dhariwal & Nichol 2021).

#include <optional>

#include <ATen/core/Tensor.h>

#include "model/denoiser.h"
#include "model/layers/timestep_embedding.h"
#include "model/unet/unet_2d_config.h"
#include "model/unet/unet_body.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Immutable; const methods only, no threads. A block of rows goes through as one batch; rows never mix.
class UNet2DModel final : public Denoiser {
 public:
  // Takes its weights from `weights`, whose Report() tells what was missing.
  UNet2DModel(WeightMap& weights, const UNet2DConfig& config);

  // latents [R, in_channels, h, w] of any h and w >= 1. Reads class_labels where the model has classes. Throws
  // c10::Error when they are missing or an input has another shape.
  at::Tensor operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                        const Conditioning& conditioning) const override;

 private:
  at::Tensor ProjectTimesteps(const at::Tensor& timesteps) const;  // [R] -> [R, time_input()] float32
  // act(time embedding + class) [R, T], ready for the time projections.
  at::Tensor EmbedTime(const at::Tensor& timesteps, const Conditioning& conditioning, c10::ScalarType dtype) const;

  UNet2DConfig config_;
  UNetBody body_;
  std::optional<Sinusoid> sinusoid_;  // kPositional
  at::Tensor time_table_;             // kFourier: frequencies [channels]; kLearned: [num_train_timesteps, channels]
  TimestepEmbedding time_embedding_;
  at::Tensor class_table_;  // [num_class_embeds, T]
  std::optional<TimestepEmbedding> class_embedding_;
};

}  // namespace stepcast::model
