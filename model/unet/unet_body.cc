#include "model/unet/unet_body.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/mul.h>
#include <c10/util/Exception.h>

#include "model/unet/block_options.h"

namespace stepcast::model {
namespace {

// Adds `residual` [rows.size(), ...] to those rows of `state`: neighbours in one piece, so that a guided pair or a
// whole batch costs one addition.
void AddToRows(const at::Tensor& state, const std::vector<int64_t>& rows, const at::Tensor& residual) {
  TORCH_CHECK_VALUE(residual.size(0) == static_cast<int64_t>(rows.size()), "residuals of ", residual.size(0),
                    " rows for ", rows.size());
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
    const auto count = static_cast<int64_t>(end - begin);
    state.narrow(0, rows[begin], count).add_(residual.narrow(0, static_cast<int64_t>(begin), count));
    begin = end;
  }
}

void AddResiduals(const RowResiduals& residuals, const std::vector<at::Tensor>& skips, const at::Tensor& middle) {
  TORCH_CHECK_VALUE(residuals.down.size() == skips.size(), residuals.down.size(), " residuals for ", skips.size(),
                    " states of the way down");
  for (size_t i = 0; i < skips.size(); ++i) AddToRows(skips[i], residuals.rows, residuals.down[i]);
  AddToRows(middle, residuals.rows, residuals.mid);
}

}  // namespace

UNetBody::UNetBody(WeightMap& weights, const UNetConfig& config)
    : config_(config),
      encoder_(weights, config, CommonOptions(config, &time_projections_, &text_projections_)),
      conv_norm_out_(weights.Root() / "conv_norm_out", config.first_channels(), config.norm_num_groups,
                     config.norm_eps),
      conv_out_(weights.Root() / "conv_out", config.first_channels(), config.out_channels,
                SameSize(config, config.conv_out_kernel)) {
  const WeightScope root = weights.Root();
  const UNetBlockOptions common = CommonOptions(config, &time_projections_, &text_projections_);
  const std::vector<SpatialSize> usual = UsualSizes(config);
  int64_t channels = config.mid_channels();
  for (size_t i = 0; i < config.up_blocks.size(); ++i) {
    UNetBlockOptions options = WithBlock(common, config, config.up_blocks[i]);
    options.previous = channels;
    options.usual = usual[usual.size() - 1 - i];
    options.in = config.up_blocks[std::min(i + 1, config.up_blocks.size() - 1)].channels;
    options.resample = i + 1 < config.up_blocks.size();
    up_blocks_.emplace_back(root / "up_blocks" / static_cast<int64_t>(i), options);
    channels = options.out;
  }
  time_projections_.Seal();
  text_projections_.Seal();
}

at::Tensor UNetBody::RunBlocks(at::Tensor x, const UNetContext& context,
                               absl::Span<const RowResiduals> residuals) const {
  std::vector<at::Tensor> skips;
  x = encoder_(std::move(x), context, skips);
  for (const RowResiduals& each : residuals) {
    // Without a middle its state would be the last one of the way down itself.
    TORCH_CHECK_VALUE(config_.mid_block != MidBlockKind::kNone, "residuals need a middle");
    AddResiduals(each, skips, x);
  }
  for (size_t i = 0; i < up_blocks_.size(); ++i) {
    // The state below this block's own tells the size to return to; it is twice x's unless an odd size was halved.
    const auto own = static_cast<size_t>(config_.up_blocks[i].layers);
    std::optional<SpatialSize> size;
    if (i + 1 < up_blocks_.size()) size = SizeOf(skips[skips.size() - own - 1]);
    x = up_blocks_[i](std::move(x), context, skips, size);
  }
  return x;
}

void UNetBody::CheckInputs(const at::Tensor& latents, const at::Tensor& timesteps) const {
  TORCH_CHECK_VALUE(latents.dim() == 4 && latents.size(1) == config_.in_channels, "latents must be [R, ",
                    config_.in_channels, ", h, w]");
  TORCH_CHECK_VALUE(timesteps.dim() == 1 && timesteps.size(0) == latents.size(0), "one timestep per row is needed");
}

at::Tensor UNetBody::operator()(const at::Tensor& latents, const UNetContext& context,
                                absl::Span<const RowResiduals> residuals) const {
  at::Tensor x = latents.contiguous(at::MemoryFormat::ChannelsLast);
  if (config_.center_input_sample) x = x.mul(2).sub_(1);
  x = RunBlocks(encoder_.ConvIn(x, context.adapters), context, residuals);
  return conv_out_(conv_norm_out_(x, config_.output_activation), context.adapters).contiguous();
}

}  // namespace stepcast::model
