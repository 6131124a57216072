#include "model/layers/native_bfloat16.h"

#include <cmath>

#include <ATen/Version.h>
#include <ATen/ops/full.h>

#include "model/layers/packed_linear.h"

namespace stepcast::model {
namespace {

constexpr int64_t kSize = 64;

// The instructions take numbers below 2^-126 for zero, and what stands in for them does not. Not asked of the CPU,
// because ONEDNN_MAX_CPU_ISA decides too.
bool OneDnnUsesThem() {
  const at::TensorOptions bfloat16 = at::TensorOptions(at::kBFloat16);
  const at::Tensor weight = at::full({kSize, kSize}, std::ldexp(1.0, 100), bfloat16);
  if (!ShouldPackLinear(weight)) return false;
  const at::Tensor tiny = at::full({kSize, kSize}, std::ldexp(1.0, -130), bfloat16);
  return RunPackedLinear(tiny, PackLinear(weight), at::Tensor()).to(at::kFloat).abs().max().item<float>() == 0.0F;
}

}  // namespace

bool HasNativeBfloat16() {
  static const bool native = at::get_cpu_capability().starts_with("AVX512") && OneDnnUsesThem();
  return native;
}

}  // namespace stepcast::model
