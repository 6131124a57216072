#pragma once
// ControlNets at work beside rows that nobody asked for: warm-ups and checks.

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/types/span.h"
#include "engine/shelves/control_shelf.h"
#include "model/conditioner.h"

namespace stepcast::engine {

// What each of `nets` adds to rows of a denoiser's input [R, >= C, h, w] at `timesteps` [R], all of which show `shows`
// (one row, as a conditioner makes it) and follow a picture of shades.
std::vector<model::RowResiduals> SyntheticResiduals(absl::Span<const SharedControlNet> nets, const at::Tensor& input,
                                                    const at::Tensor& timesteps, const model::Conditioning& shows);

}  // namespace stepcast::engine
