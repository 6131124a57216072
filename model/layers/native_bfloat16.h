#pragma once
// Whether computing in bfloat16 pays on this CPU.

namespace stepcast::model {

// Whether both libraries below use instructions made for bfloat16 (avx512_bf16, AMX) here: the CPU has them and neither
// ATEN_CPU_CAPABILITY nor ONEDNN_MAX_CPU_ISA forbids them. Without them bfloat16 is emulated, slower than float32.
// Found out once by a small product.
bool HasNativeBfloat16();

}  // namespace stepcast::model
