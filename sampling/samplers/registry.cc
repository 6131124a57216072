#include "sampling/samplers/registry.h"

#include <vector>

namespace stepcast::sampling {

absl::Span<const SamplerDefinition* const> AllSamplers() {
  static const auto& samplers = *new std::vector<const SamplerDefinition*>{
      &DdpmSampler(),              //
      &DdimSampler(),              //
      &PndmSampler(),              //
      &EulerSampler(),             //
      &EulerAncestralSampler(),    //
      &HeunSampler(),              //
      &LmsSampler(),               //
      &Dpm2Sampler(),              //
      &Dpm2AncestralSampler(),     //
      &Dpmpp2mSampler(),           //
      &Dpmpp2mSdeSampler(),        //
      &Dpmpp3mSampler(),           //
      &DpmppSinglestepSampler(),   //
      &UnipcSampler(),             //
      &DeisSampler(),              //
      &LcmSampler(),               //
      &TcdSampler(),               //
      &EdmEulerSampler(),          //
      &EdmDpmppSampler(),          //
      &SdeVeSampler(),             //
      &AnnealedLangevinSampler(),  //
      &SdeVpSampler(),             //
  };
  return samplers;
}

const SamplerDefinition* FindSampler(Sampler sampler) {
  for (const SamplerDefinition* definition : AllSamplers()) {
    if (definition->sampler == sampler) return definition;
  }
  return nullptr;
}

}  // namespace stepcast::sampling
