#pragma once
// Pictures that came with requests to what networks make of them, through the cache.

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/codecs/picture_cache.h"
#include "engine/codecs/precise_codecs.h"
#include "engine/device/device.h"
#include "engine/device/torch_guard.h"
#include "engine/job/denoise_state.h"
#include "engine/job/encoded_picture.h"
#include "scheduler/words/tile_work.h"

namespace stepcast::engine {

// One of the pictures of a job's recipe.
struct PictureWish {
  DenoiseState* job = nullptr;
  int picture = 0;
  bool tiled = false;    // encoded in tiles, where an autoencoder does it
  TileShare share = {};  // of Encode: what this tick does of it; Start does not look at it
};

// Knows two kinds of networks, the model's autoencoder and the hint embeddings of ControlNets; which of them looks at a
// picture is told by its use. What overflows in an autoencoder of less than float32 is encoded once more in that.
//
// Thread-safety: none; owned by one executor.
class PictureEncoder {
 public:
  struct Parts {
    const ComputeDevice& device;
    PictureCache& cache;
    PreciseCodecs& precise;
    const TorchGuard& guard;
    HintFinder hints = nullptr;  // empty: there are no ControlNets
  };
  // `parts` must outlive the encoder. `most`: pictures of one forward.
  PictureEncoder(Parts parts, int most) : parts_(std::move(parts)), most_(most) {}

  // Pins a picture that is in the cache. Returns whether it is.
  // Errors: UNIMPLEMENTED for a model without an encoder; NOT_FOUND for a ControlNet that is not there.
  absl::StatusOr<bool> Start(const PictureWish& wish);

  // Encodes and pins, every distinct picture once, batched. Returns one status per wish; a picture that fails alone
  // fails only the jobs that use it. A picture that comes in several ticks is pinned with the last one, or as soon as
  // the cache has it. REQUIRES: all jobs use the same bundle.
  std::vector<absl::Status> Encode(absl::Span<const PictureWish> wishes);

 private:
  struct Task {
    PictureKey key;
    size_t place = 0;  // among the wishes
    const sampling::PictureSource* source = nullptr;
    const model::ModelBundle* bundle = nullptr;
    HintNetwork hint = {};  // of kHint
    SharedEncodedPicture encoded = nullptr;
    absl::Status status = {};
  };

  absl::StatusOr<Task> TaskOf(const PictureWish& wish) const;
  // The wishes that one tick fulfils.
  std::vector<absl::Status> EncodeWhole(absl::Span<const PictureWish> wishes);
  absl::Status EncodeTiles(const PictureWish& wish);
  // Keeps what a network has made of a picture, if it makes sense.
  void Keep(Task& task, EncodedPicture encoded);
  EncodedPicture Precise(const Task& task, const at::Tensor& picture, EncodedPicture encoded);
  // Those from the first one on that go through one forward.
  size_t Together(absl::Span<Task* const> tasks) const;
  void EncodeTasks(absl::Span<Task* const> tasks);
  std::vector<EncodedPicture> Run(absl::Span<Task* const> tasks);

  const Parts parts_;
  const int most_;
};

}  // namespace stepcast::engine
