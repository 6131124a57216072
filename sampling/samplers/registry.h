#pragma once
// The samplers that exist. A new one is one file in this folder, its declaration here and its line in registry.cc.

#include "absl/types/span.h"
#include "sampling/samplers/sampler.h"

namespace stepcast::sampling {

const SamplerDefinition& DdpmSampler();
const SamplerDefinition& DdimSampler();
const SamplerDefinition& PndmSampler();
const SamplerDefinition& EulerSampler();
const SamplerDefinition& EulerAncestralSampler();
const SamplerDefinition& HeunSampler();
const SamplerDefinition& LmsSampler();
const SamplerDefinition& Dpm2Sampler();
const SamplerDefinition& Dpm2AncestralSampler();
const SamplerDefinition& Dpmpp2mSampler();
const SamplerDefinition& Dpmpp2mSdeSampler();
const SamplerDefinition& Dpmpp3mSampler();
const SamplerDefinition& DpmppSinglestepSampler();
const SamplerDefinition& UnipcSampler();
const SamplerDefinition& DeisSampler();
const SamplerDefinition& LcmSampler();
const SamplerDefinition& TcdSampler();
const SamplerDefinition& EdmEulerSampler();
const SamplerDefinition& EdmDpmppSampler();
const SamplerDefinition& SdeVeSampler();
const SamplerDefinition& AnnealedLangevinSampler();
const SamplerDefinition& SdeVpSampler();

// All samplers, in the order of the enum.
absl::Span<const SamplerDefinition* const> AllSamplers();

// The definition of `sampler`; null when it is not built yet.
const SamplerDefinition* FindSampler(Sampler sampler);

}  // namespace stepcast::sampling
