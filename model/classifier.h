#pragma once
// Judges which class unfinished latents show: what classifier guidance steers by.

#include <ATen/core/Tensor.h>

namespace stepcast::model {

// Immutable; const methods only, no threads. Rows never mix.
class Classifier {
 public:
  virtual ~Classifier() = default;

  // The gradient of log p(class | latents, timestep) with respect to the latents (Dhariwal & Nichol 2021, algorithm 1).
  //
  // latents [R, C, h, w] float32, variance-preserving: what the denoiser gets; timesteps [R] float32, may be
  // fractional; labels [R] int64. Returns [R, C, h, w] float32. May be called in InferenceMode: the one place that
  // leaves it, for its own length.
  virtual at::Tensor Gradient(const at::Tensor& latents, const at::Tensor& timesteps,
                              const at::Tensor& labels) const = 0;
};

}  // namespace stepcast::model
