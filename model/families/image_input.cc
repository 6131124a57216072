#include "model/families/image_input.h"

#include "absl/strings/str_cat.h"

namespace stepcast::model {

std::optional<ImageInput> ImageInputOf(const UNetConfig& unet, int64_t latent_channels) {
  if (unet.out_channels != latent_channels) return std::nullopt;
  if (unet.in_channels == latent_channels) return ImageInput::kNone;
  if (unet.in_channels == 2 * latent_channels) return ImageInput::kPicture;
  if (unet.in_channels == 2 * latent_channels + 1) return ImageInput::kMaskAndPicture;
  return std::nullopt;
}

std::string WrongChannels(const UNetConfig& unet, int64_t latent_channels) {
  return absl::StrCat("in_channels ", unet.in_channels, " and out_channels ", unet.out_channels,
                      " do not go with the autoencoder's latent_channels ", latent_channels, ": out_channels must be ",
                      latent_channels, " and in_channels ", latent_channels, ", ", 2 * latent_channels,
                      " (editing by instructions) or ", 2 * latent_channels + 1, " (inpainting)");
}

}  // namespace stepcast::model
