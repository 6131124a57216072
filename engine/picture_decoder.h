#pragma once
// From finished latents to 8-bit pictures; what comes out without sense is tried once more, more precisely.

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <vector>

#include "core/image.h"
#include "core/model_info.h"
#include "engine/torch_guard.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class PictureDecoder {
 public:
  // `log` may be empty; `guard` must outlive the decoder.
  PictureDecoder(ErrorLog log, const TorchGuard& guard) : log_(std::move(log)), guard_(guard) {}

  // latents [C, h, w] float32, of one size. A picture with values that are not finite, from a decoder of less than
  // float32 and from latents that are finite, is decoded again in float32, for which the decoder is loaded once more
  // and kept until Forget. What stays without sense is null.
  std::vector<SharedImage> Decode(const model::ModelBundle& bundle, const std::vector<at::Tensor>& latents, bool tiled);

  // Lets go of the decoders in float32. Returns whether there was one.
  bool Forget();

 private:
  struct Precise {
    std::unique_ptr<const model::LatentCodec> codec;  // null: not loaded
    bool told = false;
  };

  // Of models that nobody else has any more.
  void DropUnloaded();
  SharedImage DecodePrecisely(const model::ModelBundle& bundle, const at::Tensor& latents, bool tiled);

  const ErrorLog log_;
  const TorchGuard& guard_;
  std::map<SharedModelInfo, Precise> precise_;  // by what tells models apart, also those that came back
};

}  // namespace stepcast::engine
