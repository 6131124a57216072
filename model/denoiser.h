#pragma once
// The network that is called once per row and tick.

#include <ATen/core/Tensor.h>

#include "model/conditioner.h"

namespace stepcast::model {

// Immutable; const methods only, no threads.
class Denoiser {
 public:
  virtual ~Denoiser() = default;

  // latents [R, C, h, w] in the compute dtype, already scaled; timesteps [R] float32, may be fractional;
  // conditioning of the same R rows. Returns the prediction [R, C, h, w] in the compute dtype.
  virtual at::Tensor operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                                const Conditioning& conditioning) const = 0;
};

}  // namespace stepcast::model
