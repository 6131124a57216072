#include "sampling/schedule/reference_log.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace stepcast::sampling {
namespace {

constexpr float kLn2 = 0.693147180559945309417f;
constexpr uint32_t kMantissaBits = 0x7fffff;
constexpr uint32_t kOne = 0x3f800000;  // the bits of 1.0f

// P(y) / Q(y) is ln(1 + y) for y in [sqrt(1/2) - 1, sqrt(2) - 1].
float Numerator(float y) {
  float p = std::fma(2.589979117907922693523e-02f, y, 3.808837741388407920751e-01f);
  p = std::fma(p, y, 1.480000633576506585156e+00f);
  p = std::fma(p, y, 2.112677543073053063722e+00f);
  return std::fma(p, y, 1.0f) * y;
}

float Denominator(float y) {
  float q = std::fma(5.875095403124574342950e-03f, y, 1.546476374983906719538e-01f);
  q = std::fma(q, y, 9.864942958519418960339e-01f);
  q = std::fma(q, y, 2.453006071784736363091e+00f);
  q = std::fma(q, y, 2.612677543073109236779e+00f);
  return std::fma(q, y, 1.0f);
}

}  // namespace

float ReferenceLog(float x) {
  if (!std::isnormal(x) || x < 0.0f) return std::log(x);
  const auto bits = std::bit_cast<uint32_t>(x);
  auto exponent = static_cast<float>(static_cast<int>(bits >> 23) - 127);
  auto mantissa = std::bit_cast<float>((bits & kMantissaBits) | kOne);
  if (mantissa > std::numbers::sqrt2_v<float>) {
    mantissa *= 0.5f;
    exponent += 1.0f;
  }
  const float y = mantissa - 1.0f;
  return std::fma(exponent, kLn2, Numerator(y) / Denominator(y));
}

}  // namespace stepcast::sampling
