#include "model/control/control_net.h"

#include <cmath>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include "model/unet/block_options.h"

namespace stepcast::model {
namespace {

ConvGeometry OneByOne(SpatialSize usual) { return {.kernel = 1, .stride = 1, .padding = 0, .usual = usual}; }

// The level of each state of the way down, by which its usual size follows.
std::vector<size_t> SkipLevels(const UNetConfig& config) {
  std::vector<size_t> levels = {0};
  for (size_t i = 0; i < config.down_blocks.size(); ++i) {
    levels.insert(levels.end(), static_cast<size_t>(config.down_blocks[i].layers), i);
    if (i + 1 < config.down_blocks.size()) levels.push_back(i + 1);
  }
  return levels;
}

}  // namespace

ControlNet::ControlNet(WeightMap& weights, const ControlNetConfig& config)
    : config_(config),
      dtype_(weights.dtype()),
      device_(weights.device()),
      encoder_(weights, config.unet, CommonOptions(config.unet, &time_projections_, &text_projections_)),
      embedding_(weights, config.unet),
      hint_embedding_(weights.Root() / "controlnet_cond_embedding", config) {
  time_projections_.Seal();
  text_projections_.Seal();
  if (config.is_union()) fuser_.emplace(weights, config);
  const WeightScope root = weights.Root();
  const std::vector<int64_t> channels = SkipChannels(config.unet);
  const std::vector<size_t> levels = SkipLevels(config.unet);
  const std::vector<SpatialSize> usual = UsualSizes(config.unet);
  for (size_t i = 0; i < channels.size(); ++i) {
    down_convs_.emplace_back(root / "controlnet_down_blocks" / static_cast<int64_t>(i), channels[i], channels[i],
                             OneByOne(usual[levels[i]]));
  }
  const int64_t mid = config.unet.mid_channels();
  mid_conv_.emplace_back(root / "controlnet_mid_block", mid, mid, OneByOne(usual.back()));
}

at::Tensor ControlNet::EmbedHint(const at::Tensor& pictures) const {
  TORCH_CHECK_VALUE(pictures.dim() == 4 && pictures.size(1) == 3, "hints must be [B, 3, H, W]");
  return hint_embedding_(pictures.to(dtype_));
}

at::Tensor ControlNet::TextOf(const Conditioning& conditioning) const {
  if (conditioning.prepared_text.defined()) return conditioning.prepared_text;
  TORCH_CHECK_VALUE(conditioning.prompt_embeds.defined(), "this net needs prompt_embeds");
  return text_projections_(conditioning.prompt_embeds.to(dtype_));
}

Conditioning ControlNet::Prepare(const Conditioning& conditioning) const {
  Conditioning prepared = conditioning;
  if (prepared.text_embeds.defined()) prepared.text_embeds = prepared.text_embeds.to(dtype_);
  if (prepared.text_mask.defined()) prepared.text_mask = prepared.text_mask.to(dtype_);
  if (!text_projections_.empty() && !prepared.prepared_text.defined()) prepared.prepared_text = TextOf(conditioning);
  return prepared;
}

at::Tensor ControlNet::FirstState(const at::Tensor& latents, const ControlInputs& inputs) const {
  const at::Tensor state = encoder_.ConvIn(latents.contiguous(at::MemoryFormat::ChannelsLast));
  for (const ControlHint& hint : inputs.hints) {
    TORCH_CHECK_VALUE(hint.embedding.sizes() == state.sizes(), "a hint of ", hint.embedding.sizes(), " for a state of ",
                      state.sizes());
  }
  if (fuser_.has_value()) return fuser_->Fuse(state, inputs.hints);
  return state + inputs.hints.front().embedding;
}

void ControlNet::Scale(const ControlInputs& inputs, ControlResiduals& residuals) const {
  // Of several hints each has been scaled where it came in.
  const bool scaled_before = inputs.hints.size() > 1;
  const at::Tensor scale = scaled_before ? at::Tensor() : inputs.hints.front().scale;
  const auto count = static_cast<double>(residuals.down.size());
  const auto rows = static_cast<int64_t>(inputs.guess.size());
  const bool pools = config_.global_pool_conditions;
  for (size_t i = 0; i <= residuals.down.size(); ++i) {
    at::Tensor& residual = i < residuals.down.size() ? residuals.down[i] : residuals.mid;
    std::vector<float> factors;
    for (const bool guess : inputs.guess) {
      const double weaker = guess && !pools ? std::pow(10.0, static_cast<double>(i) / count - 1.0) : 1.0;
      factors.push_back(static_cast<float>(weaker));
    }
    at::Tensor factor = at::tensor(factors, at::kFloat).to(residual.device());
    if (scale.defined()) factor = factor * scale;
    residual.mul_(factor.view({rows, 1, 1, 1}));
    if (pools) residual = at::mean(residual, {2, 3}, /*keepdim=*/true);
  }
}

ControlResiduals ControlNet::operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                                        const Conditioning& conditioning, const ControlInputs& inputs) const {
  const int64_t rows = latents.size(0);
  TORCH_CHECK_VALUE(latents.dim() == 4 && latents.size(1) == config_.unet.in_channels, "latents must be [R, ",
                    config_.unet.in_channels, ", h, w]");
  TORCH_CHECK_VALUE(timesteps.dim() == 1 && timesteps.size(0) == rows, "one timestep per row is needed");
  TORCH_CHECK_VALUE(!inputs.hints.empty() && (fuser_.has_value() || inputs.hints.size() == 1), inputs.hints.size(),
                    " hints");
  TORCH_CHECK_VALUE(static_cast<int64_t>(inputs.guess.size()) == rows, "one word on guessing per row is needed");
  at::Tensor embedding = embedding_(timesteps, conditioning, dtype_);
  if (fuser_.has_value()) embedding.add_(fuser_->EmbedTypes(inputs.hints, dtype_));
  UNetContext context;
  context.time = time_projections_(embedding_.Finish(std::move(embedding)));
  if (!text_projections_.empty()) context.text = {TextOf(conditioning), ScoreMask(conditioning.text_mask, dtype_)};
  ControlResiduals residuals;
  std::vector<at::Tensor> skips;
  residuals.mid = mid_conv_.front()(encoder_(FirstState(latents, inputs), context, skips));
  for (size_t i = 0; i < skips.size(); ++i) residuals.down.push_back(down_convs_[i](skips[i]));
  Scale(inputs, residuals);
  return residuals;
}

}  // namespace stepcast::model
