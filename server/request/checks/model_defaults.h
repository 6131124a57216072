#pragma once
// What a model's card says for fields that a request leaves unset.

#include <optional>

#include "core/model_info.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

// `wire` with the model's defaults in the fields that only a card sets: the rest of the defaults is filled in by the
// checks themselves. nullopt: there is nothing to fill in. What goes with the default sampler is not filled in for
// another one, and a list of steps only where the request says nothing of steps, their spacing or schedule. What only
// guided steps read is left out of requests that have none.
std::optional<v1::GenerateRequest> WithModelDefaults(const v1::GenerateRequest& wire, const ModelInfo& model);

}  // namespace stepcast
