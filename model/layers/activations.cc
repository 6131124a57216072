#include "model/layers/activations.h"

#include <utility>

#include <ATen/ops/gelu.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include "absl/strings/str_cat.h"

namespace stepcast::model {

absl::StatusOr<Activation> ParseActivation(const std::string& name) {
  static constexpr std::pair<const char*, Activation> kNames[] = {{"silu", Activation::kSilu},
                                                                  {"swish", Activation::kSilu},
                                                                  {"mish", Activation::kMish},
                                                                  {"gelu", Activation::kGelu},
                                                                  {"gelu_new", Activation::kGeluTanh},
                                                                  {"gelu_pytorch_tanh", Activation::kGeluTanh},
                                                                  {"quick_gelu", Activation::kQuickGelu},
                                                                  {"relu", Activation::kRelu}};
  for (const auto& [known, activation] : kNames) {
    if (name == known) return activation;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("activation '", name.substr(0, 40),
                   "' is not known (silu, swish, mish, gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu are)"));
}

at::Tensor Activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kMish:
      return at::mish(x);
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kQuickGelu:
      return at::sigmoid(x.mul(1.702)).mul_(x);
    case Activation::kRelu:
      return at::relu(x);
  }
  return x;
}

at::Tensor ActivateInPlace(at::Tensor x, Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      at::silu_(x);
      return x;
    case Activation::kMish:
      at::mish_(x);
      return x;
    case Activation::kGelu:
      at::gelu_(x);
      return x;
    case Activation::kGeluTanh:
      at::gelu_(x, "tanh");
      return x;
    case Activation::kQuickGelu:
      return x.mul_(at::sigmoid(x.mul(1.702)));
    case Activation::kRelu:
      at::relu_(x);
      return x;
  }
  return x;
}

}  // namespace stepcast::model
