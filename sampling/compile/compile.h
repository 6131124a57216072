#pragma once
// From a model's noise schedule and a request's wishes to a SamplingProgram.

#include <vector>

#include "absl/status/statusor.h"
#include "core/sampling_types.h"
#include "sampling/program/sampler_spec.h"
#include "sampling/program/sampling_program.h"

namespace stepcast::sampling {

// Beyond, a guided step leaves what any classifier was trained at.
inline constexpr double kMaxClassifierScale = 100.0;

// Compiles `spec` for a model trained with `schedule`.
//
// Pure function; a million calls with equal arguments return equal programs.
// Errors: INVALID_ARGUMENT, naming the field of the request at fault (a sampler that is not built yet, more
// steps than training timesteps, a schedule that makes no sense with the sampler, coefficients that are not
// finite).
absl::StatusOr<SharedProgram> Compile(const NoiseScheduleConfig& schedule, const SamplerSpec& spec);

// Samplers that Compile knows, in the order of the enum.
const std::vector<Sampler>& SupportedSamplers();

}  // namespace stepcast::sampling
