#pragma once
// The optional sidecar model.json: how a model presents itself, and what it paints when a request leaves fields open.

#include <string>

#include "absl/status/status.h"
#include "core/model_info.h"

namespace stepcast::model {

// Reads `path` over what `info` already says:
//   {"display_name", "description", "license", "attribution",
//    "defaults": {"sampler", "steps", "guidance_scale", "width", "height"}}
// A file that does not exist changes nothing. REQUIRES: info.limits are final.
// Errors: INVALID_ARGUMENT listing every unknown key and every value that a request could not use either.
absl::Status ApplyModelCard(const std::string& path, ModelInfo& info);

}  // namespace stepcast::model
