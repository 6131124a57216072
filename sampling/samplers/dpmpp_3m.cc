// DPM-Solver++(3M): the third-order multistep of Lu et al. 2022, "DPM-Solver" and "DPM-Solver++".
// diffusers: DPMSolverMultistepScheduler with solver_order 3, algorithm dpmsolver++.

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(DpmSolver solver, SolverOf(input));
  solver.sde = false;
  solver.order = 3;
  return BuildDpmMultistep(input, solver, builder);
}

}  // namespace

const SamplerDefinition& Dpmpp3mSampler() {
  static const SamplerDefinition definition = [] {
    SamplerDefinition third = DpmMultistepDefinition(Sampler::kDpmpp3m, Build);
    third.accepts.max_solver_order = 0;  // the name says it
    return third;
  }();
  return definition;
}

}  // namespace stepcast::sampling
