#include "server/catalog/sampler_support.h"

#include <algorithm>

#include "sampling/compile/compile.h"
#include "sampling/samplers/registry.h"

namespace stepcast {
namespace {

// Steps that a probe asks for: enough for every schedule to show its shape, few enough for every model.
constexpr int kProbeSteps = 4;

// What a picture with the model's default steps costs, and whether it draws noise on the way. A sampler that does not
// take as many steps is asked for few; their cost is told in proportion.
void ProbeProgram(const ModelInfo& model, SamplerSupport& support) {
  sampling::SamplerSpec spec;
  spec.sampler = support.sampler;
  spec.steps = model.defaults.steps;
  auto program = sampling::Compile(model.noise_schedule, spec);
  if (!program.ok()) {
    spec.steps = kProbeSteps;
    program = sampling::Compile(model.noise_schedule, spec);
  }
  if (!program.ok()) return;
  const auto& evaluations = (*program)->evaluations;
  support.evaluations = static_cast<int>(evaluations.size()) * model.defaults.steps / spec.steps;
  support.draws_noise =
      std::any_of(evaluations.begin(), evaluations.end(), [](const auto& each) { return each.draws_noise; });
}

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
  const sampling::SamplerDefinition* definition = sampling::FindSampler(sampler);
  const bool reads_file = definition == nullptr || definition->defaults.has_spacing;
  if (reads_file && schedule.timestep_spacing.has_value()) return *schedule.timestep_spacing;
  return definition == nullptr ? TimestepSpacing::kLeading : definition->defaults.timestep_spacing;
}

bool TakesEta(Sampler sampler) {
  const sampling::SamplerDefinition* definition = sampling::FindSampler(sampler);
  return definition != nullptr && definition->default_eta.has_value();
}

std::vector<SamplerSupport> ProbeSamplers(const ModelInfo& model) {
  std::vector<SamplerSupport> supported;
  for (const Sampler sampler : model.samplers) {
    SamplerSupport support{.sampler = sampler, .takes_eta = TakesEta(sampler)};
    support.timestep_spacing = DefaultTimestepSpacing(model.noise_schedule, sampler);
    if (const sampling::SamplerDefinition* definition = sampling::FindSampler(sampler)) {
      support.options = definition->accepts;
      support.default_eta = definition->default_eta.value_or(0.0);
    }
    ProbeProgram(model, support);
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
