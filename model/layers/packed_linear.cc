#include "model/layers/packed_linear.h"

#include <optional>
#include <string_view>

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/flip.h>
#include <c10/core/Scalar.h>

#include "model/layers/packed_convolution.h"

namespace stepcast::model {
namespace {

// torch registers these for its own compiler; there is no C++ declaration of them to include.
using ReorderWeight = at::Tensor(const at::Tensor&, std::optional<int64_t>);
using Multiply = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                            c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

constexpr char kReorder[] = "mkldnn::_reorder_linear_weight";
constexpr char kMultiply[] = "mkldnn::_linear_pointwise";
constexpr int64_t kFewestFloatOutputs = 512;

bool Registered() {
  auto& dispatcher = c10::Dispatcher::singleton();
  return dispatcher.findSchema({kReorder, ""}).has_value() && dispatcher.findSchema({kMultiply, ""}).has_value();
}

// oneDNN's float32 kernel for AVX2 works in tiles of six rows and adds up the rows of a last, smaller tile otherwise.
// It is no faster than the BLAS either (Zen 4 without AVX-512: 0 to 30 % slower). Not asked of the CPU, because
// ONEDNN_MAX_CPU_ISA decides too.
bool FloatRowsAreIndependent() {
  constexpr int64_t kInputs = 64;
  const at::Tensor packed = PackLinear(at::arange(kFewestFloatOutputs * kInputs, at::kFloat).sin().view({-1, kInputs}));
  for (const int64_t rows : {7, 8, 9}) {  // a tile and one, two, three rows
    const at::Tensor x = at::arange(rows * kInputs, at::kFloat).cos().view({rows, kInputs});
    const at::Tensor turned = RunPackedLinear(x.flip({0}), packed, at::Tensor());
    if (!at::equal(turned.flip({0}), RunPackedLinear(x, packed, at::Tensor()))) return false;
  }
  return true;
}

}  // namespace

bool ShouldPackLinear(const at::Tensor& weight) {
  static const bool registered = Registered();
  if (!registered || !CanPackConvolution(weight)) return false;
  if (weight.scalar_type() == at::kBFloat16) return true;
  static const bool independent = FloatRowsAreIndependent();
  return independent && weight.size(0) >= kFewestFloatOutputs;
}

at::Tensor PackLinear(const at::Tensor& weight) {
  static const auto reorder = c10::Dispatcher::singleton().findSchemaOrThrow(kReorder, "").typed<ReorderWeight>();
  return reorder.call(weight.contiguous(), std::nullopt);
}

at::Tensor RunPackedLinear(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias) {
  static const auto multiply = c10::Dispatcher::singleton().findSchemaOrThrow(kMultiply, "").typed<Multiply>();
  const std::optional<at::Tensor> added = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  return multiply.call(x, packed, added, "none", c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

}  // namespace stepcast::model
