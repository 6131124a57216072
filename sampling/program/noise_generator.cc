#include "sampling/program/noise_generator.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace stepcast::sampling {
namespace {

constexpr int kShift = 397;
constexpr int kBlock = 16;
constexpr int kHalf = kBlock / 2;

uint32_t Twist(uint32_t high, uint32_t low) {
  const uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
  return (mixed >> 1) ^ (-(low & 1u) & 0x9908b0dfu);
}

uint32_t Temper(uint32_t word) {
  word ^= word >> 11;
  word ^= (word << 7) & 0x9d2c5680u;
  word ^= (word << 15) & 0xefc60000u;
  return word ^ (word >> 18);
}

// The low 24 bits as a number in [0, 1).
float Uniform(uint32_t word) { return static_cast<float>(static_cast<int32_t>(Temper(word) & 0xffffffu)) * 0x1p-24f; }

// The functions below are branch-free so that the compiler turns the loops of BoxMuller into vector code; calls of
// std::log, std::sin and std::cos cost several times as much. Polynomials of the Cephes library (S. Moshier).

// ln x for x in [2^-24, 1].
inline float LogOfUniform(float x) {
  const auto bits = std::bit_cast<int32_t>(x);
  // x = m * 2^e with m in [sqrt(1/2), sqrt(2)).
  const int32_t shifted = bits - 0x3f3504f3;
  const auto e = static_cast<float>(shifted >> 23);
  const float m = std::bit_cast<float>((shifted & 0x007fffff) + 0x3f3504f3) - 1.0f;
  const float square = m * m;
  float y = 7.0376836292e-2f;
  y = y * m - 1.1514610310e-1f;
  y = y * m + 1.1676998740e-1f;
  y = y * m - 1.2420140846e-1f;
  y = y * m + 1.4249322787e-1f;
  y = y * m - 1.6668057665e-1f;
  y = y * m + 2.0000714765e-1f;
  y = y * m - 2.4999993993e-1f;
  y = y * m + 3.3333331174e-1f;
  y = y * m * square;
  y += -2.12194440e-4f * e;
  y -= 0.5f * square;
  return m + y + 0.693359375f * e;
}

struct SineCosine {
  float sine;
  float cosine;
};

// Of an angle in [0, 2 pi].
inline SineCosine SineCosineOf(float angle) {
  // Nearest multiple of pi/2; the angle is never negative, so adding a half and cutting off rounds.
  const auto quadrant = static_cast<int32_t>(angle * 0.63661977236758134f + 0.5f);
  const auto q = static_cast<float>(quadrant);
  // pi/2 in three parts, the first two exact in products with 0 .. 4.
  const float r = ((angle - q * 1.5703125f) - q * 4.837512969970703125e-4f) - q * 7.54978995489188216e-8f;
  const float z = r * r;
  const float sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  const float cosine =
      ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
  const int32_t swap = -(quadrant & 1);  // all ones in odd quadrants
  const auto s = std::bit_cast<int32_t>(sine);
  const auto c = std::bit_cast<int32_t>(cosine);
  const int32_t sine_sign = (quadrant & 2) << 30;
  const int32_t cosine_sign = ((quadrant + 1) & 2) << 30;
  return {std::bit_cast<float>(((c & swap) | (s & ~swap)) ^ sine_sign),
          std::bit_cast<float>(((s & swap) | (c & ~swap)) ^ cosine_sign)};
}

// 16 uniforms to 16 normals in place (Box & Muller 1958): uniform j and uniform j + 8 make normals j and j + 8.
inline void BoxMuller(float* block) {
  constexpr float kTwoPi = 2.0f * std::numbers::pi_v<float>;
  std::array<float, kHalf> radius;
  for (int j = 0; j < kHalf; ++j) radius[j] = -2.0f * LogOfUniform(1.0f - block[j]);
  // Alone, because its errno keeps the compiler from vector code.
  for (int j = 0; j < kHalf; ++j) radius[j] = std::sqrt(radius[j]);
  for (int j = 0; j < kHalf; ++j) {
    const SineCosine direction = SineCosineOf(kTwoPi * block[j + kHalf]);
    block[j] = radius[j] * direction.cosine;
    block[j + kHalf] = radius[j] * direction.sine;
  }
}

}  // namespace

NoiseGenerator::NoiseGenerator(uint64_t seed) {
  auto word = static_cast<uint32_t>(seed);
  for (uint32_t i = 0; i < kWords; ++i) {
    if (i > 0) word = 1812433253u * (word ^ (word >> 30)) + i;
    state_.words[i] = word;
  }
}

NoiseGenerator::NoiseGenerator(const State& state) : state_(state) {
  state_.next_word = std::clamp(state_.next_word, 0, kWords);
}

void NoiseGenerator::Refill() {
  uint32_t* words = state_.words.data();
  const auto advance = [words](int i) { words[i] = words[i + kShift] ^ Twist(words[i], words[i + 1]); };
  constexpr int kVectorized = (kWords - kShift) / 16 * 16;
  for (int i = 0; i < kVectorized; ++i) advance(i);
  for (int i = kVectorized; i < kWords - kShift; ++i) advance(i);
  for (int i = kWords - kShift; i < kWords - 1; ++i) {
    words[i] = words[i + kShift - kWords] ^ Twist(words[i], words[i + 1]);
  }
  words[kWords - 1] = words[kShift - 1] ^ Twist(words[kWords - 1], words[0]);
  state_.next_word = 0;
}

uint32_t NoiseGenerator::NextWord() {
  if (state_.next_word == kWords) Refill();
  return Temper(state_.words[state_.next_word++]);
}

void NoiseGenerator::FillUniforms(absl::Span<float> out) {
  while (!out.empty()) {
    if (state_.next_word == kWords) Refill();
    const auto available = static_cast<size_t>(kWords - state_.next_word);
    const size_t count = std::min(out.size(), available);
    const uint32_t* words = state_.words.data() + state_.next_word;
    size_t i = 0;
    for (; i + kBlock <= count; i += kBlock) {
      float* block = out.data() + i;
      for (int j = 0; j < kBlock; ++j) block[j] = Uniform(words[i + j]);
    }
    for (; i < count; ++i) out[i] = Uniform(words[i]);
    state_.next_word += static_cast<int>(count);
    out.remove_prefix(count);
  }
}

double NoiseGenerator::NextUniform53() {
  const uint64_t high = NextWord();
  const uint64_t low = NextWord();
  return static_cast<double>(((high << 32) | low) & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

double NoiseGenerator::NextSmallNormal() {
  if (state_.next_normal) {
    const double normal = *state_.next_normal;
    state_.next_normal.reset();
    return normal;
  }
  const double angle = 2.0 * std::numbers::pi * NextUniform53();
  const double radius = std::sqrt(-2.0 * std::log1p(-NextUniform53()));
  state_.next_normal = radius * std::sin(angle);
  return radius * std::cos(angle);
}

void NoiseGenerator::Fill(absl::Span<float> out) {
  if (out.size() < kBlock) {
    for (float& value : out) value = static_cast<float>(NextSmallNormal());
    return;
  }
  FillUniforms(out);
  const size_t whole = out.size() / kBlock * kBlock;
  for (size_t i = 0; i < whole; i += kBlock) BoxMuller(out.data() + i);
  if (whole == out.size()) return;
  // The last 16 values are drawn anew, over the end of the last whole block.
  const absl::Span<float> tail = out.last(kBlock);
  FillUniforms(tail);
  BoxMuller(tail.data());
}

}  // namespace stepcast::sampling
