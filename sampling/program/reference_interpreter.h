#pragma once
// Runs a program on plain floats: the meaning of sampling_program.h, written to be read, and the yardstick for
// whoever runs programs faster.

#include <array>
#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "sampling/program/noise_generator.h"
#include "sampling/program/sampling_program.h"

namespace stepcast::sampling {

// One image's slots and its position in a program. All arithmetic is float32, terms in the program's order.
//
// Thread-safety: none. The program must outlive the interpreter.
class ReferenceInterpreter {
 public:
  // Starts at evaluation `position` with `latents` as they are before it.
  // REQUIRES: 0 <= position < program.evaluations.size().
  ReferenceInterpreter(const SamplingProgram& program, std::vector<float> latents, int position = 0);

  bool done() const { return position_ == static_cast<int>(program_.evaluations.size()); }
  int position() const { return position_; }

  // The evaluation to come. REQUIRES: !done().
  const Evaluation& next() const { return program_.evaluations[static_cast<size_t>(position_)]; }

  // latents * input_scale, what the denoiser is to see. REQUIRES: !done().
  std::vector<float> DenoiserInput() const;

  // Takes the guided denoiser output, and normals where next().draws_noise (otherwise they are ignored), computes
  // x0, applies special and transition and moves on.
  // REQUIRES: !done(); sizes equal to the latents', but a model output of twice that for the variance specials.
  void Step(absl::Span<const float> model_output, absl::Span<const float> noise = {});

  absl::Span<const float> slot(Slot slot) const { return slots_[static_cast<size_t>(slot)]; }

  // The program's result from the slots as they are; the picture when done().
  std::vector<float> Result() const;

 private:
  const SamplingProgram& program_;
  int position_ = 0;
  std::array<std::vector<float>, kSlotCount> slots_;
};

// The guided output for `input`; the evaluation tells timestep and guidance.
using Denoiser = std::function<std::vector<float>(absl::Span<const float> input, const Evaluation& evaluation)>;

// The slots of one image that a special reads and changes.
struct SpecialSlots {
  absl::Span<const float> latents;
  absl::Span<const float> variance;  // v of the variance specials
  absl::Span<float> model_output;
  absl::Span<float> noise;
};

// Changes model output and noise as `special` says.
void ApplySpecial(Special special, const SpecialCoefs& coefs, const SpecialSlots& slots);

// x0 := post(x0), in place, over one image.
void ApplyPost(const Post& post, absl::Span<float> x0);

// start.image_coef * image + start.noise_coef * noise. An empty image counts as zeros.
std::vector<float> StartLatents(const Start& start, absl::Span<const float> image, absl::Span<const float> noise);

// Runs all of `program` from `latents`, drawing step noise from `noise` exactly when the program says so.
std::vector<float> RunProgram(const SamplingProgram& program, std::vector<float> latents, const Denoiser& denoiser,
                              NoiseGenerator& noise);

}  // namespace stepcast::sampling
