#pragma once
// A program as text, for goldens, logs and documents.

#include <string>

#include "sampling/program/sampling_program.h"

namespace stepcast::sampling {

// One line for the program, one per evaluation, for example
//   DDIM 2 steps, start 0*image +1*noise, slots latents model_output x0
//   0: t=500 in*1 cfg=7.5 x0=clip(1)[3.585*latents -3.443*model_output] latents=0.01*model_output+0.9999*x0
//   1: t=0 in*1 cfg=7.5 x0=clip(1)[1*latents -0.01*model_output] latents=1*x0
// Numbers have `digits` significant digits. Equal programs give equal texts.
std::string Describe(const SamplingProgram& program, int digits = 6);

// "latents", "history0", ...
std::string SlotName(Slot slot);

}  // namespace stepcast::sampling
