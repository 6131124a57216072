#include "model/layers/activations.h"

#include <utility>

#include <ATen/ops/gelu.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

namespace stepcast::model {

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
