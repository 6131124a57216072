#include "model/layers/timestep_embedding.h"

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

namespace stepcast::model {

Sinusoid::Sinusoid(const SinusoidOptions& options, c10::Device device) : options_(options) {
  const int64_t half = options.channels / 2;
  const at::TensorOptions as_float = at::TensorOptions(at::kFloat).device(device);
  // In float32 and in this order, as the reference computes them.
  frequencies_ = at::arange(half, as_float)
                     .mul_(-std::log(10000.0))
                     .div_(static_cast<double>(half) - options.freq_shift)
                     .exp_()
                     .unsqueeze(0);
}

at::Tensor Sinusoid::operator()(const at::Tensor& values) const {
  const at::Tensor angles = values.to(at::kFloat).unsqueeze(1).mul(frequencies_);
  const at::Tensor sine = angles.sin();
  const at::Tensor cosine = angles.cos();
  const at::Tensor waves = options_.flip_sin_to_cos ? at::cat({cosine, sine}, 1) : at::cat({sine, cosine}, 1);
  return options_.channels % 2 == 0 ? waves : at::constant_pad_nd(waves, {0, 1});
}

TimestepEmbedding::TimestepEmbedding(const WeightScope& scope, const TimestepEmbeddingOptions& options)
    : activation_(options.activation),
      post_activation_(options.post_activation),
      linear_1_(scope / "linear_1", options.in, options.out),
      linear_2_(scope / "linear_2", options.out, options.out) {
  if (options.condition_channels > 0) {
    cond_proj_.emplace(scope / "cond_proj", options.condition_channels, options.in, /*bias=*/false);
  }
}

at::Tensor TimestepEmbedding::operator()(const at::Tensor& x, const at::Tensor& condition,
                                         const RowAdapters* adapters) const {
  at::Tensor input = x;
  if (cond_proj_.has_value() && condition.defined()) input = cond_proj_->AddTo(x, condition, adapters);
  const at::Tensor out = linear_2_(ActivateInPlace(linear_1_(input, adapters), activation_), adapters);
  return post_activation_.has_value() ? ActivateInPlace(out, *post_activation_) : out;
}

}  // namespace stepcast::model
