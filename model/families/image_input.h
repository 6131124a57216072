#pragma once
// What a U-Net reads beside the latents, told by its channels.

#include <cstdint>
#include <optional>
#include <string>

#include "core/model_info.h"
#include "model/unet/unet_config.h"

namespace stepcast::model {

// Of a U-Net that paints `latent_channels`; nullopt: it reads something that is not built.
std::optional<ImageInput> ImageInputOf(const UNetConfig& unet, int64_t latent_channels);

// Why such a U-Net is refused, "in_channels 7 and ...".
std::string WrongChannels(const UNetConfig& unet, int64_t latent_channels);

}  // namespace stepcast::model
