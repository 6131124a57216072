#include "server/sampler_support.h"

#include <algorithm>

#include "sampling/compile.h"
#include "sampling/samplers/registry.h"

namespace stepcast {
namespace {

// Steps that a probe asks for: enough for every schedule to show its shape, few enough for every model.
constexpr int kProbeSteps = 4;

bool Compiles(const NoiseScheduleConfig& schedule, Sampler sampler, SigmaSchedule sigma_schedule) {
  sampling::SamplerSpec spec;
  spec.sampler = sampler;
  spec.steps = kProbeSteps;
  spec.sigma_schedule = sigma_schedule;
  spec.timestep_spacing = DefaultTimestepSpacing(schedule, sampler);
  return sampling::Compile(schedule, spec).ok();
}

}  // namespace

TimestepSpacing DefaultTimestepSpacing(const NoiseScheduleConfig& schedule, Sampler sampler) {
  if (schedule.timestep_spacing.has_value()) return *schedule.timestep_spacing;
  const sampling::SamplerDefinition* definition = sampling::FindSampler(sampler);
  return definition == nullptr ? TimestepSpacing::kLeading : definition->defaults.timestep_spacing;
}

bool TakesEta(Sampler sampler) {
  const sampling::SamplerDefinition* definition = sampling::FindSampler(sampler);
  return definition != nullptr && definition->accepts_eta;
}

std::vector<SamplerSupport> ProbeSamplers(const ModelInfo& model) {
  std::vector<SamplerSupport> supported;
  for (const Sampler sampler : model.samplers) {
    SamplerSupport support{.sampler = sampler, .takes_eta = TakesEta(sampler)};
    support.timestep_spacing = DefaultTimestepSpacing(model.noise_schedule, sampler);
    for (const SigmaSchedule schedule : {SigmaSchedule::kDefault, SigmaSchedule::kKarras, SigmaSchedule::kExponential,
                                         SigmaSchedule::kBeta, SigmaSchedule::kLu}) {
      if (Compiles(model.noise_schedule, sampler, schedule)) support.sigma_schedules.push_back(schedule);
    }
    const auto& schedules = support.sigma_schedules;
    if (std::find(schedules.begin(), schedules.end(), SigmaSchedule::kDefault) == schedules.end()) continue;
    supported.push_back(std::move(support));
  }
  return supported;
}

}  // namespace stepcast
