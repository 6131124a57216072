#include "model/families/latent_space.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/vae/autoencoder_kl.h"

namespace stepcast::model {

absl::StatusOr<LatentSpace> ReadAutoencoderSpace(ComponentLoader& loader) {
  const ModelIndex& index = loader.index();
  LatentSpace space;
  space.component = index.components.contains("vae") || !index.components.contains("vqvae") ? "vae" : "vqvae";
  STEPCAST_ASSIGN_OR_RETURN(const std::string cls,
                            index.ClassOf(space.component, {"AutoencoderKL", "VQModel", "AutoencoderTiny"}));
  if (cls != "VQModel") {
    STEPCAST_ASSIGN_OR_RETURN(space.vae, loader.AutoencoderSettings(space.component));
    space.channels = space.vae->latent_channels;
    space.factor = space.vae->factor;
    return space;
  }
  STEPCAST_ASSIGN_OR_RETURN(JsonConfig json, loader.Config(space.component));
  STEPCAST_ASSIGN_OR_RETURN(space.vq, ParseVqModelConfig(json));
  space.channels = space.vq->vq_embed_dim;
  space.factor = space.vq->decoder.scale_factor();
  loader.NoteUnknownKeys(json);
  return space;
}

absl::StatusOr<LatentSpace> ReadPixelSpace(const ComponentLoader& loader, const UNetConfig& unet, PixelRange range) {
  const ModelIndex& index = loader.index();
  for (const ModelCard& card : index.cards) {
    if (card.vae.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(card.source, ": vae: a ", index.pipeline_class, " paints pixels and has no autoencoder"));
  }
  if (unet.in_channels != 1 && unet.in_channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat(index.PathOf("unet"), "/config.json: in_channels is ", unet.in_channels,
                     ", but a model that paints pixels has 3 channels (RGB) or 1 (grey)"));
  }
  LatentSpace space;
  space.range = range;
  space.channels = unet.in_channels;
  return space;
}

absl::StatusOr<std::shared_ptr<const LatentCodec>> LoadCodec(ComponentLoader& loader, const LatentSpace& space) {
  if (space.is_pixels()) {
    auto codec = std::make_unique<const PixelCodec>(space.channels, space.range);
    loader.NoteEncoder(*codec);
    return codec;
  }
  if (space.vae.has_value()) return loader.Autoencoder(*space.vae, Precision::kAny, space.component);
  const auto make = [&](WeightMap& weights) -> std::unique_ptr<const LatentCodec> {
    return std::make_unique<const VqModel>(weights, *space.vq, AutoencoderEncoder::IsIn(weights));
  };
  STEPCAST_ASSIGN_OR_RETURN(
      std::shared_ptr<const LatentCodec> codec,
      loader.Network(space.component, "diffusion_pytorch_model", &CanonicalAutoencoderName, make));
  loader.NoteEncoder(*codec);
  loader.NoteDecodeBytes(space.vq->decoder, codec->dtype());
  return codec;
}

absl::StatusOr<std::shared_ptr<const PreviewDecoder>> LoadPreview(ComponentLoader& loader, const LatentSpace& space,
                                                                  const LatentShape& shape) {
  return loader.Preview(shape, space.is_pixels() ? PixelPreviewMatrix(space.channels, space.range)
                                                 : FallbackPreviewMatrix(space.channels, /*sdxl=*/false));
}

}  // namespace stepcast::model
