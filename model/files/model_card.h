#pragma once
// The optional card of a model: how it presents itself, what its files never say, and what it paints when a request
// leaves fields open. A sidecar file; the server's configuration may say the same and wins.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/model_card.h"
#include "core/model_info.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

// Reads `path`:
//   {"display_name", "description", "license", "attribution", "prediction_type", "zero_terminal_snr", "vae", "preview",
//    "vae_tiling", "vae_tiling_pixels", "dtype" (a name, or {"unet", "vae", "text_encoder", "text_encoder_2",
//    "classifier"}),
//    "defaults": {"sampler", "sigma_schedule", "timestep_spacing", "steps", "timesteps", "sigmas", "guidance_scale",
//                 "guidance_rescale", "eta", "clip_skip", "negative_prompt", "width", "height"}}
// A relative `vae` or `preview` is made one of the card's folder. A file that does not exist says nothing; so does one
// that another program keeps under that name. Errors: INVALID_ARGUMENT listing every unknown key and every value of a
// wrong type.
absl::StatusOr<ModelCard> ReadModelCard(const std::string& path);

// Its "defaults" alone; `where` names them in errors.
absl::StatusOr<CardDefaults> ReadCardDefaults(const nlohmann::json& value, const std::string& where);

// Sets what `card` says over what `info` says. REQUIRES: info.limits are final.
// Errors: INVALID_ARGUMENT listing every default that a request could not use either.
absl::Status ApplyModelCard(const ModelCard& card, ModelInfo& info);

}  // namespace stepcast::model
