#include "model/layers/resnet_block_2d.h"

#include "model/layers/resampling.h"

namespace stepcast::model {
namespace {

// [B, C] -> [B, C, 1, 1]
at::Tensor OverSpace(const at::Tensor& x) { return x.unsqueeze(-1).unsqueeze(-1); }

// Both convolutions see the resampled size.
ConvGeometry Geometry(const ResnetOptions& options, int64_t kernel) {
  SpatialSize usual = options.usual;
  if (options.resample == Resample::kUp) usual = Doubled(usual);
  if (options.resample == Resample::kDown) usual = {usual.height / 2, usual.width / 2};
  return {.kernel = kernel, .stride = 1, .padding = kernel / 2, .usual = usual};
}

}  // namespace

ResnetBlock2D::ResnetBlock2D(const WeightScope& scope, const ResnetOptions& options)
    : activation_(options.activation),
      output_scale_(options.output_scale),
      scale_shift_(options.scale_shift),
      resample_(options.resample),
      norm1_(scope / "norm1", options.in, options.groups, options.eps),
      conv1_(scope / "conv1", options.in, options.out, Geometry(options, 3)),
      norm2_(scope / "norm2", options.out, options.groups, options.eps),
      conv2_(scope / "conv2", options.out, options.out, Geometry(options, 3)) {
  if (options.time_channels > 0) {
    const int64_t width = options.scale_shift ? 2 * options.out : options.out;
    const WeightScope projection = scope / "time_emb_proj";
    time_ = options.time->Add(projection.Get("weight", {width, options.time_channels}), projection.Get("bias", {width}),
                              projection.AddSite(options.time_channels, width));
  }
  if (options.in != options.out || options.force_shortcut) {
    conv_shortcut_.emplace(scope / "conv_shortcut", options.in, options.out, Geometry(options, 1));
  }
}

at::Tensor ResnetBlock2D::Resampled(const at::Tensor& x) const {
  switch (resample_) {
    case Resample::kUp:
      return UpsampleNearest(x);
    case Resample::kDown:
      return AveragePool2x2(x);
    case Resample::kNone:
      break;
  }
  return x;
}

at::Tensor ResnetBlock2D::operator()(const at::Tensor& x, const at::Tensor& time, const RowAdapters* adapters) const {
  at::Tensor hidden = conv1_(Resampled(norm1_(x, activation_)), adapters);
  if (time_.width == 0) {
    hidden = norm2_(hidden, activation_);
  } else if (scale_shift_) {
    const int64_t channels = time_.width / 2;
    const at::Tensor scale = OverSpace(time.narrow(-1, time_.begin, channels));
    const at::Tensor shift = OverSpace(time.narrow(-1, time_.begin + channels, channels));
    hidden = ActivateInPlace(norm2_(hidden).mul_(scale.add(1)).add_(shift), activation_);
  } else {
    hidden = norm2_(hidden, activation_, time_.Of(time));
  }
  const at::Tensor input = Resampled(x);
  hidden = conv2_.AddTo(conv_shortcut_.has_value() ? (*conv_shortcut_)(input, adapters) : input, hidden, adapters);
  return output_scale_ == 1.0 ? hidden : hidden.div_(output_scale_);
}

}  // namespace stepcast::model
