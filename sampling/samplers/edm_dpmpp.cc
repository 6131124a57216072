// DPM-Solver++ multistep for EDM models: Lu et al. 2022 with alpha 1 and the preconditioning of Karras et al. 2022.
// diffusers: EDMDPMSolverMultistepScheduler.

#include "core/status_macros.h"
#include "sampling/samplers/dpm_family.h"
#include "sampling/samplers/edm_family.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

absl::Status Build(const SamplerInput& input, ProgramBuilder& builder) {
  STEPCAST_ASSIGN_OR_RETURN(const DpmSolver solver, SolverOf(input));
  STEPCAST_ASSIGN_OR_RETURN(const std::vector<float> sigmas, EdmSigmas(input));
  std::vector<DpmPoint> points;
  for (int i = 0; i < input.steps(); ++i) {
    points.push_back({.level = DpmLevel::VarianceExploding(sigmas[i]),
                      .timestep = EdmTimestep(sigmas[i]),
                      .input_scale = EdmInputScale(sigmas[i], input.settings.sigma_data),
                      .x0 = EdmX0(input.settings, sigmas[i])});
  }
  points.push_back({.level = DpmLevel::VarianceExploding(sigmas.back())});
  builder.set_start(EdmStart(input, sigmas));
  BuildMultistep(input, points, solver, builder);
  return absl::OkStatus();
}

}  // namespace

const SamplerDefinition& EdmDpmppSampler() {
  static const SamplerDefinition definition = {
      .sampler = Sampler::kEdmDpmpp,
      .defaults = {.scheduler_class = "EDMDPMSolverMultistepScheduler",
                   .zero_snr = ZeroSnr::kUnknown,
                   .has_spacing = false},
      .sigma_schedules = {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential},
      .for_edm_models = true,
      .accepts = {.max_solver_order = 3, .sigmas = true},
      .build = Build,
  };
  return definition;
}

}  // namespace stepcast::sampling
