#pragma once
// How a request's pictures are told back: what was asked about them, and what they are instead of their bytes.

#include "core/generation_request.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// Sets the fields around pictures as `request` resolved them; nothing where it has none.
void SetPictures(const GenerationRequest& request, v1::GenerateRequest& wire);

}  // namespace stepcast
