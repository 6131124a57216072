#pragma once
// Which samplers can paint with a model, and why another cannot.

#include <vector>

#include "absl/status/status.h"
#include "core/model_info.h"
#include "sampling/compile/compile.h"

namespace stepcast::sampling {

// Whether a program of `spec` exists for `model` and its network gives what the program reads.
// Errors: as Compile; INVALID_ARGUMENT naming `sampler` where it reads a variance that the network does not predict.
absl::Status CheckUsable(const ModelInfo& model, const SamplerSpec& spec);

// The samplers that can paint with `model`: in its default number of steps or, those that never take as many, in few.
std::vector<Sampler> UsableSamplers(const ModelInfo& model);

}  // namespace stepcast::sampling
