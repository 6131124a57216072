#pragma once
// The made-up picture, noise and denoiser of the diffusers test-suite, whose full loops have published sums.

#include <utility>
#include <vector>

#include "core/sampling_types.h"
#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "sampling/program/sampling_program.h"

namespace stepcast::sampling {

// Shape [4, 3, 8, 8] in memory order; values k / 768, sample index fastest.
std::vector<float> DummySample();

// (767 - k) / 768 in the same order.
std::vector<float> DummyNoise();

// x * t / (t + 1).
Denoiser DummyModel();

// Sum and mean of absolute values.
struct Magnitude {
  double sum = 0.0;
  double mean = 0.0;
};
Magnitude MagnitudeOf(absl::Span<const float> values);

// Upstream's loops for the Euler samplers overwrite the sample with the scaled one before the step. This program
// does so to everyone: latents enter each transition multiplied by input_scale.
SamplingProgram ScaledInputEntersStep(SamplingProgram program);

// A published full loop: noise levels with scale `init` times the dummy sample, or, with spec.strength, the scaled
// sample with the dummy noise of the first level. Step noise from seed 0.
struct UpstreamLoop {
  NoiseScheduleConfig config;
  SamplerSpec spec;
  bool scaled_input_enters_step = false;
  int samples_at_once = 4;  // 1: each of the four samples on its own (thresholding works per sample)
};

// The final sample [4, 3, 8, 8]. Aborts when the loop does not compile.
std::vector<float> RunLoop(const UpstreamLoop& loop);

// What upstream's tests of the sigma-space samplers are set up with, and their ten steps; `FromStep8` runs the last two
// of them from an image.
NoiseScheduleConfig UpstreamConfig(PredictionType prediction = PredictionType::kEpsilon);
SamplerSpec TenSteps(Sampler sampler, SigmaSchedule schedule = SigmaSchedule::kDefault);
SamplerSpec FromStep8(Sampler sampler);

// Table-driven checks.
struct UpstreamCase {
  const char* name;
  UpstreamLoop loop;
  double sum;  // < 0: not published
  double mean;
  double mean_tolerance = 6e-5;  // four decimals
  double sum_tolerance = 0.0;    // on top of four decimals and the rounding of a sum
};
void ExpectPublished(const UpstreamCase& test);

}  // namespace stepcast::sampling
