#pragma once
// The float32 logarithm that the reference takes of its noise levels.

namespace stepcast::sampling {

// ln x as numpy computes it for float32 arrays on x86 with FMA: a rational approximation, within 4 units of the last
// place, and not what std::log gives for one value in ten. The last bit of the ends of a table decides which whole
// timestep the first step has.
// REQUIRES: x is positive, finite and normal; others give what std::log gives.
float ReferenceLog(float x);

}  // namespace stepcast::sampling
