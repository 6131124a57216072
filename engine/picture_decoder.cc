#include "engine/picture_decoder.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/picture.h"
#include "model/load_report.h"

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
    if (images[i] == nullptr && IsFinite(latents[i])) images[i] = DecodePrecisely(bundle, latents[i], tiled);
  }
  return images;
}

SharedImage PictureDecoder::DecodePrecisely(const model::ModelBundle& bundle, const at::Tensor& latents, bool tiled) {
  DropUnloaded();
  Precise& precise = precise_[bundle.info()];
  if (!std::exchange(precise.told, true) && log_) {
    log_(absl::StrCat("model '", bundle.info()->id, "': its decoder made values that are not finite in ",
                      model::DtypeName(bundle.codec().dtype()),
                      "; such pictures are decoded again in fp32 (dtype: {vae: fp32} in its card decodes all so)"));
  }
  SharedImage image;
  // A failure here is this picture's alone, want of memory included.
  const absl::Status status = guard_.Run("decode in fp32", [&] {
    if (precise.codec == nullptr) {
      absl::StatusOr<std::unique_ptr<const model::LatentCodec>> codec = bundle.LoadPreciseCodec();
      if (!codec.ok()) {
        if (log_) log_(absl::StrCat("model '", bundle.info()->id, "': ", codec.status().ToString()));
        return;
      }
      precise.codec = *std::move(codec);
    }
    image = ToImages(Pictures(*precise.codec, latents.unsqueeze(0), tiled)).front();
  });
  if (!status.ok()) precise.codec = nullptr;
  return image;
}

void PictureDecoder::DropUnloaded() {
  std::erase_if(precise_, [](const auto& entry) { return entry.first.use_count() == 1; });
}

bool PictureDecoder::Forget() {
  bool any = false;
  for (auto& [info, precise] : precise_) any = std::exchange(precise.codec, nullptr) != nullptr || any;
  DropUnloaded();
  return any;
}

}  // namespace stepcast::engine
