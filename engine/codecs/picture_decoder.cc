#include "engine/codecs/picture_decoder.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include "engine/codecs/picture.h"

namespace stepcast::engine {
namespace {

at::Tensor Pictures(const model::LatentCodec& codec, const at::Tensor& latents, bool tiled) {
  return tiled ? codec.DecodeTiled(latents) : codec.Decode(latents);
}

bool IsFinite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

}  // namespace

std::vector<SharedImage> PictureDecoder::Decode(const model::ModelBundle& bundle,
                                                const std::vector<at::Tensor>& latents, bool tiled) {
  const model::LatentCodec& codec = bundle.codec();
  std::vector<SharedImage> images = ToImages(Pictures(codec, at::stack(latents), tiled));
  if (codec.dtype() == c10::ScalarType::Float) return images;
  for (size_t i = 0; i < images.size(); ++i) {
    if (images[i] != nullptr || !IsFinite(latents[i])) continue;
    precise_.Run(bundle, [&](const model::LatentCodec& precise) {
      images[i] = ToImages(Pictures(precise, latents[i].unsqueeze(0), tiled)).front();
    });
  }
  return images;
}

}  // namespace stepcast::engine
