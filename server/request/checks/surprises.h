#pragma once
// What a request is accepted with, although it may not be what was meant.

#include <string>
#include <vector>

#include "core/generation_request.h"
#include "sampling/program/sampling_program.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// Warnings for Accepted that need the whole request, and the program that it became: keys of the model's
// scheduler_config.json that the sampler does not know, seeds that the generator shortens, a start so near to the clean
// end that the picture stays noise, guidance of a text by itself. `wire` is the request as it came.
std::vector<std::string> Surprises(const v1::GenerateRequest& wire, const GenerationRequest& request,
                                   const sampling::SamplingProgram& program);

}  // namespace stepcast
