#pragma once
// A classifier of latents at any noise level: the downward half of a UNet2DModel with a linear head.

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/classifier.h"
#include "model/classifier/latent_classifier_config.h"
#include "model/layers/conv2d.h"
#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/layers/timestep_embedding.h"
#include "model/unet/unet_blocks.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// emb = time_embedding(sinusoid(t)); h = conv_in(x); each block: resnets, then (but for the last) a 3x3 convolution of
// stride 2; logits = head(mean over cells of act(conv_norm_out(h))), times max(0, cos(((t + 1) / 1000 + 0.008) / 1.008
// * pi / 2)) where the config asks for it. That gain is the root of the cosine schedule's cumulative alpha: the
// gradient then vanishes with the signal, because guidance multiplies it by up to 20,000 at the noisy end.
//
// Immutable; const methods only, no threads.
class LatentClassifier final : public Classifier {
 public:
  // Takes its weights from `weights`, whose Report() tells what was missing. REQUIRES: outside InferenceMode (tensors
  // that are born in it cannot take part in a gradient).
  LatentClassifier(WeightMap& weights, const LatentClassifierConfig& config);

  // [R, num_classes] float32; inputs as for Gradient. Differentiable in the latents when they ask for a gradient.
  at::Tensor Logits(const at::Tensor& latents, const at::Tensor& timesteps) const;

  at::Tensor Gradient(const at::Tensor& latents, const at::Tensor& timesteps, const at::Tensor& labels) const override;

 private:
  LatentClassifierConfig config_;
  StackedLinear time_projections_;
  Sinusoid time_proj_;
  TimestepEmbedding time_embedding_;
  Conv2d conv_in_;
  std::vector<DownBlock> down_blocks_;
  GroupNorm conv_norm_out_;
  at::Tensor head_weight_;  // [num_classes, C]; plain, because a packed product has no gradient
  at::Tensor head_bias_;    // [num_classes]
};

}  // namespace stepcast::model
