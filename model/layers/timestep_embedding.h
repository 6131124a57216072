#pragma once
// How the network is told where on the noise schedule a row stands.

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "model/layers/activations.h"
#include "model/layers/linear.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

struct SinusoidOptions {
  int64_t channels = 0;
  bool flip_sin_to_cos = true;  // [cos, sin] instead of [sin, cos]
  double freq_shift = 0;        // denominator channels / 2 - freq_shift
};

// Transformer sinusoids (Vaswani et al. 2017, 3.5): f_i = exp(-ln(10000) i / (channels / 2 - freq_shift)).
class Sinusoid {
 public:
  Sinusoid(const SinusoidOptions& options, c10::Device device);

  // values [N] float32, fractional allowed. Returns float32 [N, channels]; an odd count ends with a zero.
  at::Tensor operator()(const at::Tensor& values) const;

 private:
  SinusoidOptions options_;
  at::Tensor frequencies_;  // [1, channels / 2]
};

struct TimestepEmbeddingOptions {
  int64_t in = 0;
  int64_t out = 0;
  Activation activation = Activation::kSilu;
  std::optional<Activation> post_activation;
  int64_t condition_channels = 0;  // width of the guidance embedding of LCM models; 0: none
};

// linear_2(act(linear_1(x + cond_proj(condition)))).
class TimestepEmbedding {
 public:
  TimestepEmbedding(const WeightScope& scope, const TimestepEmbeddingOptions& options);

  // x [N, in]; `condition` [N, condition_channels] or undefined. Returns [N, out].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& condition = {},
                        const RowAdapters* adapters = nullptr) const;

 private:
  Activation activation_;
  std::optional<Activation> post_activation_;
  Linear linear_1_;
  Linear linear_2_;
  std::optional<Linear> cond_proj_;
};

}  // namespace stepcast::model
