#pragma once
// What a denoiser without text paints: latents of an autoencoder of either kind, or pixels.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "model/latent_codec.h"
#include "model/loading/component_loader.h"
#include "model/unet/unet_config.h"
#include "model/vae/pixel_codec.h"
#include "model/vae/vae_config.h"
#include "model/vae/vq_model.h"

namespace stepcast::model {

struct LatentSpace {
  std::string component;                          // that decodes: "vae", "vqvae"; "": pixels
  std::optional<VaeConfig> vae;                   // of an AutoencoderKL or AutoencoderTiny
  std::optional<VqModelConfig> vq;                // of a VQModel
  PixelRange range = PixelRange::kMinusOneToOne;  // of pixels
  int64_t channels = 0;
  int64_t factor = 1;  // pixels per cell

  bool is_pixels() const { return component.empty(); }
};

// Reads the config of the autoencoder among the parts that the index names: `vae`, else `vqvae`.
absl::StatusOr<LatentSpace> ReadAutoencoderSpace(ComponentLoader& loader);
// The pixels that `unet` paints. Errors: INVALID_ARGUMENT for channels that are no picture's, or where somebody names
// an autoencoder.
absl::StatusOr<LatentSpace> ReadPixelSpace(const ComponentLoader& loader, const UNetConfig& unet, PixelRange range);

absl::StatusOr<std::shared_ptr<const LatentCodec>> LoadCodec(ComponentLoader& loader, const LatentSpace& space);
// `shape`: of the same space.
absl::StatusOr<std::shared_ptr<const PreviewDecoder>> LoadPreview(ComponentLoader& loader, const LatentSpace& space,
                                                                  const LatentShape& shape);

}  // namespace stepcast::model
