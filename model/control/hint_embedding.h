#pragma once
// From a picture to what a ControlNet adds to its first state.

#include <vector>

#include <ATen/core/Tensor.h>

#include "model/control/control_net_config.h"
#include "model/layers/conv2d.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Convolutions with silu between them; every second one of the blocks halves the size. Immutable.
class HintEmbedding {
 public:
  HintEmbedding(const WeightScope& scope, const ControlNetConfig& config);

  // pictures [B, 3, H, W] in the net's dtype, 0..1, H and W multiples of hint_factor().
  // Returns [B, first channels, H / hint_factor(), W / hint_factor()].
  at::Tensor operator()(const at::Tensor& pictures) const;

 private:
  bool bgr_;
  std::vector<Conv2d> convolutions_;
};

}  // namespace stepcast::model
