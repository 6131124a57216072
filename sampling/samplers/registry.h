#pragma once
// The samplers that exist. A new one is one file in this folder, its declaration here and its line in registry.cc.

#include "absl/types/span.h"
#include "sampling/samplers/sampler.h"

namespace stepcast::sampling {

const SamplerDefinition& DdpmSampler();
const SamplerDefinition& DdimSampler();
const SamplerDefinition& EulerSampler();
const SamplerDefinition& EulerAncestralSampler();
const SamplerDefinition& Dpmpp2mSampler();

// All samplers, in the order of the enum.
absl::Span<const SamplerDefinition* const> AllSamplers();

// The definition of `sampler`; null when it is not built yet.
const SamplerDefinition* FindSampler(Sampler sampler);

}  // namespace stepcast::sampling
