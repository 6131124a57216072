#pragma once
// What DPM2 and its ancestral form share: the midpoint rule in ln sigma, two evaluations per step.

#include <vector>

#include "absl/status/statusor.h"
#include "sampling/samplers/sampler.h"
#include "sampling/schedule/sigma_schedule.h"

namespace stepcast::sampling {

// Where each step goes.
struct Dpm2Steps {
  SigmaSteps levels;
  std::vector<float> targets;         // n: the level that step i ends at, before fresh noise
  std::vector<float> mid_sigmas;      // n: where it takes its derivative, the geometric mean; the last is 0
  std::vector<double> mid_timesteps;  // n; of the last, unused
};

// `targets`: where the steps end, as a function of levels i and i + 1 (float32).
absl::StatusOr<Dpm2Steps> MakeDpm2Steps(const SamplerInput& input, float (*target)(float sigma, float next_sigma));

// Opens and writes both evaluations of step i: latents become saved latents + derivative * (target - sigma), and the
// second evaluation stays open for what comes on top. The last step is one evaluation: Euler's, to level 0.
void Dpm2Step(const SamplerInput& input, const Dpm2Steps& steps, int i, ProgramBuilder& builder);

// The definition of a sampler of the family.
SamplerDefinition Dpm2Definition(Sampler sampler, absl::Status (*build)(const SamplerInput&, ProgramBuilder&));

}  // namespace stepcast::sampling
