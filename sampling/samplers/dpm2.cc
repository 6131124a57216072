// DPM-Solver-2, the midpoint rule: Karras et al. 2022, algorithm 2 with Lu et al. 2022's midpoint in ln sigma.
// k-diffusion: sample_dpm_2; diffusers: KDPM2DiscreteScheduler.

#include "core/status_macros.h"
#include "sampling/samplers/dpm2_family.h"
#include "sampling/samplers/euler_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

float NextLevel(float /*sigma*/, float next_sigma) { return next_sigma; }

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const Dpm2Steps steps, MakeDpm2Steps(input, NextLevel));
  builder.set_start(EulerStart(input, steps.levels));
  for (int i = input.first_step; i < input.steps(); ++i) Dpm2Step(input, steps, i, builder);
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& Dpm2Sampler() {
  static const SamplerDefinition definition = Dpm2Definition(Sampler::kDpm2, Build);
  return definition;
}

}  // namespace stepcast::sampling
