// SDE-DPM-Solver++(2M): Lu et al. 2022, "DPM-Solver++", section 5 of version 2: the same steps for the diffusion SDE,
// with fresh noise at each. diffusers: DPMSolverMultistepScheduler, algorithm sde-dpmsolver++.

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(DpmSolver solver, SolverOf(input));
  solver.sde = true;
  return BuildDpmMultistep(input, solver, builder);
}

}  // namespace

const SamplerDefinition& Dpmpp2mSdeSampler() {
  static const SamplerDefinition definition = DpmMultistepDefinition(Sampler::kDpmpp2mSde, Build);
  return definition;
}

}  // namespace stepcast::sampling
