#pragma once
// A sampler, compiled: a list of denoiser evaluations with every coefficient worked out beforehand.
//
// A program is pure data. Whoever executes one keeps, per image, one tensor per slot and a position:
//
//   latents := Start.image_coef * encoded_image + Start.noise_coef * initial_noise
//   for each evaluation e:
//     model_output := guided denoiser(latents * e.input_scale, e.timestep)
//     noise        := the next normals of the image's own generator, if e.draws_noise
//     x0           := post(e.x0_from_latents * latents + e.x0_from_output * model_output)
//     model_output, noise := as e.special says, usually unchanged
//     slots        := e.transition applied to slots   (all right-hand sides read before any write)
//   result := Finish.latents_coef * latents + Finish.x0_coef * x0
//
// Programs of different samplers have the same shape, so rows of any mix share one forward and one update.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/sampling_types.h"
#include "sampling/program/special.h"

namespace stepcast::sampling {

// Tensors an image owns while it is painted. All have the shape of the latents and are float32.
enum class Slot : uint8_t {
  kLatents,
  kModelOutput,
  kX0,     // the current estimate of the finished latents; previews show it
  kNoise,  // normals drawn for this evaluation
  kHistory0,
  kHistory1,
  kHistory2,
  kHistory3,
  kSaved,
  kAccumulator,
};
inline constexpr int kSlotCount = 10;

// One entry of a transition: `to` receives `coefficient * from`. Terms with equal `to` add up. A slot that no
// term writes keeps its value.
struct Term {
  Slot to;
  Slot from;
  float coefficient;

  friend bool operator==(const Term&, const Term&) = default;
};

enum class GuidanceKind : uint8_t {
  kNone,            // one row: the conditional prediction as it is
  kClassifierFree,  // two rows: uncond + scale * (cond - uncond)
  kEmbedded,        // one row: the scale is an input of the denoiser (LCM)
};

struct Guidance {
  GuidanceKind kind = GuidanceKind::kNone;
  float scale = 1.0f;
  float rescale = 0.0f;  // 0..1, guidance_rescale of diffusers; 0: off

  friend bool operator==(const Guidance&, const Guidance&) = default;
};

// What happens to x0 before anything reads it.
enum class PostKind : uint8_t {
  kNone,
  kClip,       // clamp to [-limit, limit]
  kThreshold,  // dynamic thresholding: s = min(max(quantile(|x0|, ratio), 1), limit), per image, with linear
               // interpolation between order statistics; x0 := clamp(x0, -s, s) / s
};

struct Post {
  PostKind kind = PostKind::kNone;
  float limit = 1.0f;
  float ratio = 0.995f;

  friend bool operator==(const Post&, const Post&) = default;
};

// A place between a picture and noise: image_coef * encoded image + noise_coef * noise.
struct Level {
  float image_coef = 0.0f;
  float noise_coef = 1.0f;

  friend bool operator==(const Level&, const Level&) = default;
};

// One denoiser evaluation and the update after it.
struct Evaluation {
  int step = 0;              // 0-based step of the image that this evaluation belongs to
  float timestep = 0.0f;     // told to the denoiser; may be fractional
  float input_scale = 1.0f;  // latents * input_scale is the denoiser's input
  Guidance guidance;
  float classifier_coef = 0.0f;  // classifier guidance; 0: off
  bool draws_noise = false;      // exactly one draw of the latents' shape
  float x0_from_latents = 0.0f;
  float x0_from_output = 0.0f;
  Post post;
  Special special = Special::kNone;
  SpecialCoefs special_coefs;
  // Where the latents stand before the update, and what a cell that is kept is after it: the next evaluation's level,
  // or the picture itself after the last one.
  Level level = {};
  Level kept = {.image_coef = 1.0f, .noise_coef = 0.0f};
  std::vector<Term> transition;  // reads kX0 only where post is not kNone: otherwise x0 serves previews and Finish

  // Rows this evaluation occupies in a denoiser forward.
  int rows() const { return guidance.kind == GuidanceKind::kClassifierFree ? 2 : 1; }

  friend bool operator==(const Evaluation&, const Evaluation&) = default;
};

using Start = Level;  // text-to-image: no image, and init_noise_sigma

struct Finish {
  float latents_coef = 1.0f;
  float x0_coef = 0.0f;

  friend bool operator==(const Finish&, const Finish&) = default;
};

// Immutable; shared by all images with the same settings. Never empty: at least one evaluation. Every number in it
// is finite.
struct SamplingProgram {
  Sampler sampler = Sampler::kDdim;
  Start start;
  std::vector<Evaluation> evaluations;
  Finish finish;
  int steps = 0;            // distinct steps, as progress counts them
  uint32_t slots_used = 0;  // bit i: Slot(i) is read or written by some evaluation

  // Forward rows from evaluation `position` to the end.
  int64_t RowsFrom(int position) const {
    int64_t rows = 0;
    for (size_t i = static_cast<size_t>(position); i < evaluations.size(); ++i) rows += evaluations[i].rows();
    return rows;
  }

  friend bool operator==(const SamplingProgram&, const SamplingProgram&) = default;
};

using SharedProgram = std::shared_ptr<const SamplingProgram>;

}  // namespace stepcast::sampling
