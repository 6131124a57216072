#pragma once
// From finished latents to 8-bit pictures; what comes out without sense is tried once more, more precisely.

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/image.h"
#include "engine/codecs/precise_codecs.h"
#include "engine/job/denoise_state.h"
#include "model/model_bundle.h"
#include "scheduler/words/tile_work.h"

namespace stepcast::engine {

// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class PictureDecoder {
 public:
  // `precise` must outlive the decoder.
  explicit PictureDecoder(PreciseCodecs& precise) : precise_(precise) {}

  // latents [C, h, w] float32, of one size. A picture with values that are not finite, from a decoder of less than
  // float32 and from latents that are finite, is decoded again in float32. What stays without sense is null.
  std::vector<SharedImage> Decode(const model::ModelBundle& bundle, const std::vector<at::Tensor>& latents, bool tiled);

  // Of a job's picture that comes in tiles: those of one tick. The picture comes with the last one, as above; nullopt
  // before. A codec that cannot stop between tiles does all its work in the last.
  std::optional<SharedImage> DecodeTiles(DenoiseState& job, const TileShare& share);

 private:
  SharedImage Again(const model::ModelBundle& bundle, const at::Tensor& latents, bool tiled);

  PreciseCodecs& precise_;
};

}  // namespace stepcast::engine
