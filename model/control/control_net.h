#pragma once
// A ControlNet (Zhang et al. 2023): a copy of a U-Net's way down that is also told a picture, and adds to the U-Net's
// states what it makes of it. Union nets are one net for several kinds of pictures.

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/conditioner.h"
#include "model/control/control_net_config.h"
#include "model/control/hint_embedding.h"
#include "model/control/union_fuser.h"
#include "model/layers/conv2d.h"
#include "model/unet/condition_embedding.h"
#include "model/unet/unet_encoder.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// What R rows are told beside latents, time and text. Plain nets are told one hint, union nets one or more.
struct ControlInputs {
  std::vector<ControlHint> hints;
  std::vector<bool> guess;  // of each row: residuals are weaker the earlier they come, 0.1 to 1 in equal ratios
};

// What a net adds to the states of a U-Net.
struct ControlResiduals {
  std::vector<at::Tensor> down;  // [R, C, h, w] each, or [R, C, 1, 1] of nets that pool; times their scales
  at::Tensor mid;
};

// Immutable; const methods only, no threads. Rows never mix. Throws c10::Error where shapes do not fit.
class ControlNet {
 public:
  // Takes its weights from `weights`, whose Report() tells what was missing.
  ControlNet(WeightMap& weights, const ControlNetConfig& config);

  const ControlNetConfig& config() const { return config_; }
  c10::ScalarType dtype() const { return dtype_; }
  c10::Device device() const { return device_; }

  // What the net makes of pictures [B, 3, H, W] with values 0..1, the same in every step: a ControlHint's embedding.
  at::Tensor EmbedHint(const at::Tensor& pictures) const;

  // As Denoiser::Prepare: what of the text is the same in every step, for this net alone.
  Conditioning Prepare(const Conditioning& conditioning) const;

  // latents [R, in_channels, h, w] in dtype(), scaled as for the U-Net; timesteps [R] float32; conditioning of the same
  // rows, Prepared or not.
  ControlResiduals operator()(const at::Tensor& latents, const at::Tensor& timesteps, const Conditioning& conditioning,
                              const ControlInputs& inputs) const;

 private:
  at::Tensor TextOf(const Conditioning& conditioning) const;
  at::Tensor FirstState(const at::Tensor& latents, const ControlInputs& inputs) const;
  void Scale(const ControlInputs& inputs, ControlResiduals& residuals) const;

  ControlNetConfig config_;
  c10::ScalarType dtype_;
  c10::Device device_;
  StackedLinear time_projections_;
  StackedLinear text_projections_;
  UNetEncoder encoder_;
  ConditionEmbedding embedding_;
  HintEmbedding hint_embedding_;
  std::optional<UnionFuser> fuser_;
  std::vector<Conv2d> down_convs_;  // 1x1, one per state
  std::vector<Conv2d> mid_conv_;    // one
};

}  // namespace stepcast::model
