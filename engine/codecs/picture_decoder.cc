#include "engine/codecs/picture_decoder.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include "engine/codecs/picture.h"
#include "model/tiled_codec.h"

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
  for (size_t i = 0; i < images.size(); ++i) {
    if (images[i] == nullptr) images[i] = Again(bundle, latents[i], tiled);
  }
  return images;
}

// Of a picture that made no sense.
SharedImage PictureDecoder::Again(const model::ModelBundle& bundle, const at::Tensor& latents, bool tiled) {
  SharedImage image;
  if (bundle.codec().dtype() == c10::ScalarType::Float || !IsFinite(latents)) return image;
  precise_.Run(bundle, [&](const model::LatentCodec& precise) {
    image = ToImages(Pictures(precise, latents.unsqueeze(0), tiled)).front();
  });
  return image;
}

std::optional<SharedImage> PictureDecoder::DecodeTiles(DenoiseState& job, const TileShare& share) {
  const auto* const codec = dynamic_cast<const model::TiledCodec*>(&job.bundle().codec());
  if (codec == nullptr) {
    if (!share.last()) return std::nullopt;
    return Decode(job.bundle(), {job.FinishedLatents()}, /*tiled=*/true).front();
  }
  if (!job.tiling().has_value() || job.tiling()->picture != Tiling::kPainted) {
    job.tiling().emplace(Tiling::kPainted, codec->BeginDecode(job.FinishedLatents().unsqueeze(0)));
  }
  model::TiledWork& work = job.tiling()->work;
  while (work.tiles_done() < share.DoneOf(work.tiles())) work.Next();
  if (!share.last()) return std::nullopt;
  SharedImage image = ToImages(work.output()).front();
  job.tiling().reset();
  return image != nullptr ? image : Again(job.bundle(), job.FinishedLatents(), /*tiled=*/true);
}

}  // namespace stepcast::engine
