#include "model/classifier/latent_classifier.h"

#include <cmath>
#include <numbers>

#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

namespace stepcast::model {
namespace {

TimestepEmbeddingOptions Embedding(const LatentClassifierConfig& config) {
  return {.in = config.first_channels(),
          .out = 4 * config.first_channels(),
          .activation = config.activation,
          .post_activation = std::nullopt,
          .condition_channels = 0};
}

// max(0, cos(((t + 1) / 1000 + 0.008) / 1.008 * pi / 2)), [R, 1].
at::Tensor CosineGain(const at::Tensor& timesteps) {
  const at::Tensor angle =
      timesteps.to(at::kFloat).add(1).div_(1000).add_(0.008).div_(1.008).mul_(std::numbers::pi / 2);
  return angle.cos().clamp_min_(0).unsqueeze(1);
}

}  // namespace

LatentClassifier::LatentClassifier(WeightMap& weights, const LatentClassifierConfig& config)
    : config_(config),
      time_proj_({.channels = config.first_channels(),
                  .flip_sin_to_cos = config.flip_sin_to_cos,
                  .freq_shift = config.freq_shift},
                 weights.device()),
      time_embedding_(weights.Root() / "time_embedding", Embedding(config)),
      conv_in_(weights.Root() / "conv_in", config.in_channels, config.first_channels()),
      conv_norm_out_(weights.Root() / "conv_norm_out", config.last_channels(), config.norm_num_groups, config.norm_eps),
      head_weight_((weights.Root() / "head").Get("weight", {config.num_classes, config.last_channels()})),
      head_bias_((weights.Root() / "head").Get("bias", {config.num_classes})) {
  UNetBlockOptions options;  // without `usual`: packed convolutions have no gradient
  options.in = config.first_channels();
  options.layers = config.layers_per_block;
  options.resnet.groups = config.norm_num_groups;
  options.resnet.eps = config.norm_eps;
  options.resnet.activation = config.activation;
  options.resnet.time_channels = 4 * config.first_channels();
  options.resnet.time = &time_projections_;
  for (size_t i = 0; i < config.block_out_channels.size(); ++i) {
    options.out = config.block_out_channels[i];
    options.resample = i + 1 < config.block_out_channels.size();
    down_blocks_.emplace_back(weights.Root() / "down_blocks" / static_cast<int64_t>(i), options);
    options.in = options.out;
  }
  time_projections_.Seal();
}

at::Tensor LatentClassifier::Logits(const at::Tensor& latents, const at::Tensor& timesteps) const {
  TORCH_CHECK_VALUE(latents.dim() == 4 && latents.size(1) == config_.in_channels, "latents must be [R, ",
                    config_.in_channels, ", h, w]");
  TORCH_CHECK_VALUE(timesteps.dim() == 1 && timesteps.size(0) == latents.size(0), "one timestep per row is needed");
  UNetContext context;
  const c10::ScalarType dtype = head_weight_.scalar_type();
  const at::Tensor sinusoid = time_proj_(timesteps).to(dtype);
  context.time = time_projections_(ActivateInPlace(time_embedding_(sinusoid), config_.activation));
  std::vector<at::Tensor> unused_skips;
  at::Tensor x = conv_in_(latents.to(dtype).contiguous(at::MemoryFormat::ChannelsLast));
  for (const DownBlock& block : down_blocks_) x = block(std::move(x), context, unused_skips);
  const at::Tensor features = conv_norm_out_(x, config_.activation).mean({2, 3});
  const at::Tensor logits = at::linear(features, head_weight_, head_bias_).to(at::kFloat);
  return config_.cosine_gain ? logits.mul(CosineGain(timesteps)) : logits;
}

at::Tensor LatentClassifier::Gradient(const at::Tensor& latents, const at::Tensor& timesteps,
                                      const at::Tensor& labels) const {
  const c10::InferenceMode gradients_allowed(false);
  // Copies: what was made in InferenceMode cannot be kept for the way back.
  const at::Tensor x = latents.clone().requires_grad_(true);
  const at::Tensor chosen = at::log_softmax(Logits(x, timesteps.clone()), 1).gather(1, labels.clone().unsqueeze(1));
  // Rows do not see each other, so the gradient of the sum holds that of each row.
  return torch::autograd::grad({chosen.sum()}, {x}).front();
}

}  // namespace stepcast::model
