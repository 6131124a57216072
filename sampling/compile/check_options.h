#pragma once
// What a request asks of a sampler beside steps, spacing and schedule: whether the sampler knows it, and ranges.

#include "absl/status/status.h"
#include "sampling/compile/compile.h"
#include "sampling/samplers/sampler.h"
#include "sampling/schedule/class_defaults.h"

namespace stepcast::sampling {

// Options and explicit lists that need no model to judge.
// Errors: INVALID_ARGUMENT naming `sampler_options.<option>`, `timesteps` or `sigmas`: not known to the sampler (the
// message says which samplers take it), out of range, not descending, or not `steps` long.
absl::Status CheckOptions(const SamplerSpec& spec, const SamplerDefinition& definition);

// The rest: what must lie within the model's training timesteps.
absl::Status CheckAgainstModel(const SamplerSpec& spec, const ScheduleSettings& settings);

}  // namespace stepcast::sampling
