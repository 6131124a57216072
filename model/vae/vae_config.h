#pragma once
// The autoencoder of a model, of either kind.

#include <cstdint>
#include <optional>
#include <utility>

#include "model/vae/autoencoder_config.h"
#include "model/vae/autoencoder_tiny.h"

namespace stepcast::model {

// One of the two is set.
struct VaeConfig {
  VaeConfig() = default;
  explicit VaeConfig(AutoencoderConfig config)
      : kl(std::move(config)),
        latent_channels(kl->latent_channels),
        factor(kl->scale_factor()),
        force_upcast(kl->force_upcast) {}
  explicit VaeConfig(AutoencoderTinyConfig config)
      : tiny(std::move(config)), latent_channels(tiny->latent_channels), factor(tiny->scale_factor()) {}

  std::optional<AutoencoderConfig> kl = std::nullopt;
  std::optional<AutoencoderTinyConfig> tiny = std::nullopt;

  int64_t latent_channels = 0;
  int64_t factor = 0;  // pixels per cell
  bool force_upcast = false;
};

}  // namespace stepcast::model
