#pragma once
// What the samplers of distilled models share: LCM and TCD step on timesteps of the distillation.

#include <vector>

#include "absl/status/statusor.h"
#include "sampling/samplers/sampler.h"

namespace stepcast::sampling {

// The steps' timesteps: the request's own list, or evenly many of those the model was distilled on, every
// (training timesteps / original_inference_steps)th of all or, `all_timesteps`, each.
// Errors: INVALID_ARGUMENT naming `steps` when there are more than original_inference_steps.
absl::StatusOr<std::vector<int>> DistilledTimesteps(const SamplerInput& input, bool all_timesteps);

// The definition of a sampler of the family.
SamplerDefinition DistilledDefinition(Sampler sampler, absl::Status (*build)(const SamplerInput&, ProgramBuilder&));

}  // namespace stepcast::sampling
