#pragma once
// The residual block of U-Nets and autoencoders.

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "model/layers/activations.h"
#include "model/layers/conv2d.h"
#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

enum class Resample { kNone, kUp, kDown };

struct ResnetOptions {
  int64_t in = 0;
  int64_t out = 0;
  int64_t groups = 32;
  double eps = 1e-6;
  Activation activation = Activation::kSilu;
  double output_scale = 1.0;  // the sum is divided by it
  bool scale_shift = false;   // the time embedding scales and shifts the second norm instead of being added
  Resample resample = Resample::kNone;
  bool force_shortcut = false;    // a 1x1 convolution beside the block even when in == out
  SpatialSize usual = {};         // of most inputs, see ConvGeometry
  int64_t time_channels = 0;      // width of the time embedding; 0: none
  StackedLinear* time = nullptr;  // collects this block's time_emb_proj; needed when time_channels > 0
};

// h = conv1(resample(act(norm1(x)))); h += time_emb_proj(act(temb)); h = conv2(act(norm2(h)));
// out = (shortcut(resample(x)) + h) / output_scale.
class ResnetBlock2D {
 public:
  ResnetBlock2D(const WeightScope& scope, const ResnetOptions& options);

  // x [B, in, H, W]. `time` [B, width of the stack]: what options.time made of act(temb); undefined without one.
  // Returns [B, out, H', W'].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const RowAdapters* adapters = nullptr) const;

 private:
  at::Tensor Resampled(const at::Tensor& x) const;

  Activation activation_;
  double output_scale_;
  bool scale_shift_;
  Resample resample_;
  StackedLinear::Slice time_;
  GroupNorm norm1_;
  Conv2d conv1_;
  GroupNorm norm2_;
  Conv2d conv2_;
  std::optional<Conv2d> conv_shortcut_;
};

}  // namespace stepcast::model
