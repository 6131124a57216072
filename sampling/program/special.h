#pragma once
// The few updates of samplers that no matrix over slots can hold.

#include <cstdint>

namespace stepcast::sampling {

// Updates that are not linear in the slots with constants known beforehand: they change kNoise and kModelOutput
// after x0 is estimated and before the transition reads them. Numbers are those of the evaluation's SpecialCoefs.
//
// The variance specials are for denoisers with twice the latents' channels: the first half is the prediction (guided
// as usual, and model_output), the second half, of the conditional row alone, is v. Where an evaluation has no such
// special, the second half of such a denoiser is dropped.
enum class Special : uint8_t {
  kNone,
  kVarianceNoise,  // noise := noise * exp((scale * v + offset) / 2), element by element (learned_range)
  kVarianceRoot,   // noise := noise * sqrt(max(v, 0)), element by element (learned)
  kLangevinNorm,   // score        := score_from_latents * latents + score_from_output * model_output
                   // s            := 2 (scale |noise| / |score|)^2, 0 if |score| is 0; Euclidean norms over this image
                   // model_output := s * score;  noise := sqrt(2 s) * noise
};

struct SpecialCoefs {
  float scale = 0.0f;   // kVarianceNoise: of v; kLangevinNorm: the signal-to-noise ratio
  float offset = 0.0f;  // kVarianceNoise
  float score_from_latents = 0.0f;
  float score_from_output = 0.0f;

  friend bool operator==(const SpecialCoefs&, const SpecialCoefs&) = default;
};

}  // namespace stepcast::sampling
