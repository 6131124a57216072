#include "model/layers/activation.h"

#include <utility>

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

}  // namespace stepcast::model
