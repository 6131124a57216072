#pragma once
// The noise of one image: the normals that torch's CPU generator draws for the same seed.

#include <array>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"

namespace stepcast::sampling {

// A stream of float32 standard normals, equal to consecutive torch.randn(shape, generator=Generator("cpu")) calls
// up to the rounding of logarithm, sine and cosine (a few units in the last place).
//
// The bits come from a Mersenne Twister (Matsumoto & Nishimura 1998) seeded with the seed modulo 2^32, so seeds
// that are equal modulo 2^32 give equal pictures. How a draw consumes them depends on its size: 16 values or more
// take one 24-bit uniform each, in blocks of 16; fewer take two 53-bit uniforms per pair, and the second of an odd
// pair waits for the next such draw.
//
// Thread-safety: none; a generator belongs to one image.
class NoiseGenerator {
 public:
  static constexpr int kWords = 624;

  // Everything that decides the draws to come. A generator made from it goes on where the saved one was.
  struct State {
    std::array<uint32_t, kWords> words{};
    int next_word = kWords;             // 0 .. kWords; kWords: all are used up
    std::optional<double> next_normal;  // of the small draws

    friend bool operator==(const State&, const State&) = default;
  };

  explicit NoiseGenerator(uint64_t seed);
  explicit NoiseGenerator(const State& state);

  // Draws out.size() normals as one torch.randn call of that many elements does. An empty draw consumes nothing.
  void Fill(absl::Span<float> out);

  const State& state() const { return state_; }

 private:
  void Refill();
  uint32_t NextWord();
  void FillUniforms(absl::Span<float> out);
  double NextUniform53();
  double NextSmallNormal();

  State state_;
};

}  // namespace stepcast::sampling
