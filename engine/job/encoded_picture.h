#pragma once
// Pictures that came with requests, as networks see them.

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/vae/tiling.h"

namespace stepcast::engine {

// What a network made of one picture, float32 on the device: the code of an autoencoder, before scaling, or the
// embedded hint of a ControlNet, in the type in which that computes.
struct EncodedPicture {
  at::Tensor mean;       // [C, h, w]
  at::Tensor deviation;  // of a posterior; undefined: there is nothing to draw
};

// Shared by the cache and by the jobs that pinned it; an evicted picture lives as long as its jobs.
using SharedEncodedPicture = std::shared_ptr<const EncodedPicture>;

// The part of a ControlNet that looks at pictures.
struct HintNetwork {
  std::string identity = {};  // of its weights, and of what it computes in
  // pictures [B, 3, H, W] float32 in 0..1 -> [B, C, h, w]. Throws what tensor code throws.
  std::function<at::Tensor(const at::Tensor& pictures)> embed = nullptr;
};

// The ControlNet of an id. Errors: NOT_FOUND where there is none.
using HintFinder = std::function<absl::StatusOr<HintNetwork>(const std::string& id)>;

// A picture between two of its tiles.
struct Tiling {
  static constexpr int kPainted = -1;  // what the job itself paints

  int picture = kPainted;  // or an index into Recipe::pictures
  model::TiledWork work;
};

}  // namespace stepcast::engine
