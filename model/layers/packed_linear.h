#pragma once
// Matrices that lie in oneDNN's own blocked layout, for the CPU.

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace stepcast::model {

// Whether the product with `weight` [out, in] is faster packed: measured, bfloat16 by 5-25 %, float32 by 8-14 % from
// 512 outputs on (below that the BLAS is faster). The layout serves any number of rows. False where oneDNN's kernel
// lets the place of a row change its last bits (float32 without AVX-512).
bool ShouldPackLinear(const at::Tensor& weight);

at::Tensor PackLinear(const at::Tensor& weight);

// x packedᵀ + bias; x [..., in], `bias` may be undefined. REQUIRES: `packed` is from PackLinear.
at::Tensor RunPackedLinear(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias);

}  // namespace stepcast::model
