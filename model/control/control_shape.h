#pragma once
// Which nets can control which U-Nets.

#include <cstdint>
#include <optional>

#include "core/control_net_info.h"
#include "model/unet/unet_config.h"

namespace stepcast::model {

// What a net must have to control a U-Net of this config, or what a net of this config has. A U-Net's own input may be
// wider than `latent_channels`: nets see the latents alone. nullopt: nothing controls it.
std::optional<ControlShape> ControlShapeOf(const UNetConfig& config, int64_t latent_channels, int64_t pixels_per_cell);

}  // namespace stepcast::model
