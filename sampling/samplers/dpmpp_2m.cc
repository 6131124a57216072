// DPM-Solver++(2M): Lu et al. 2022, "DPM-Solver++", algorithm 2, and its kin of the orders 1 and 3.
// diffusers: DPMSolverMultistepScheduler, algorithm dpmsolver++.

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(DpmSolver solver, SolverOf(input));
  solver.sde = false;  // whatever the model's own scheduler solves: the sampler's name says it
  return BuildDpmMultistep(input, solver, builder);
}

}  // namespace

const SamplerDefinition& Dpmpp2mSampler() {
  static const SamplerDefinition definition = DpmMultistepDefinition(Sampler::kDpmpp2m, Build);
  return definition;
}

}  // namespace stepcast::sampling
