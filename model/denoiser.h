#pragma once
// The network that is called once per row and tick.

#include <ATen/core/Tensor.h>

#include "core/lora_targets.h"
#include "model/conditioner.h"

namespace stepcast::model {

// Immutable; const methods only, no threads.
class Denoiser {
 public:
  virtual ~Denoiser() = default;

  // Works out once what is the same in every step of these rows, as keys and values of the text: `conditioning` with
  // prepared_text set, for a model that has such a part, and cast to the denoiser's dtype. Optional: without it each
  // call does that work again.
  virtual Conditioning Prepare(const Conditioning& conditioning) const { return conditioning; }

  // latents [R, C, h, w] in the denoiser's dtype, already scaled; timesteps [R] float32, may be fractional;
  // conditioning of the same R rows. Returns the prediction [R, C, h, w] in that dtype.
  virtual at::Tensor operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                                const Conditioning& conditioning) const = 0;

  // The layers that Conditioning::adapters may change, of one network; empty: it takes none.
  virtual LoraTargets lora_targets() const { return {}; }
};

}  // namespace stepcast::model
