#pragma once
// The config.json of a UNet2DModel.

#include <cstdint>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/unet/unet_config.h"

namespace stepcast::model {

// How a timestep becomes the input of the time embedding.
enum class TimeProjection {
  kPositional,  // sinusoids
  kFourier,     // sinusoids of ln(timestep) at stored random frequencies (Song et al. 2021, NCSN++)
  kLearned,     // a table
};

struct UNet2DConfig {
  UNetConfig unet;  // text fields have no meaning
  TimeProjection time_projection = TimeProjection::kPositional;
  int64_t num_train_timesteps = 0;  // entries of the table of kLearned

  // Width of the input of the time embedding.
  int64_t time_input() const { return unet.first_channels() * (time_projection == TimeProjection::kFourier ? 2 : 1); }
};

// Errors: INVALID_ARGUMENT listing every field that is malformed, inconsistent, or asks for something that is not
// built (the field and its value are named).
absl::StatusOr<UNet2DConfig> ParseUNet2DConfig(JsonConfig& json);

}  // namespace stepcast::model
