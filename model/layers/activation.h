#pragma once
// Names of pointwise non-linearities, as configs use them. No torch.

#include <string>

#include "absl/status/statusor.h"

namespace stepcast::model {

enum class Activation {
  kSilu,       // x * sigmoid(x); also called swish
  kMish,       // x * tanh(softplus(x))
  kGelu,       // exact: x * Phi(x)
  kGeluTanh,   // the tanh approximation
  kQuickGelu,  // x * sigmoid(1.702 x)
  kRelu,
};

// "silu", "swish", "mish", "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu".
// Errors: INVALID_ARGUMENT naming what is allowed.
absl::StatusOr<Activation> ParseActivation(const std::string& name);

}  // namespace stepcast::model
