#pragma once
// Pointwise non-linearities.

#include <ATen/core/Tensor.h>

#include "model/layers/activation.h"

namespace stepcast::model {

at::Tensor Activate(const at::Tensor& x, Activation activation);

// Overwrites `x`, which must be the caller's own temporary, and returns it.
at::Tensor ActivateInPlace(at::Tensor x, Activation activation);

}  // namespace stepcast::model
