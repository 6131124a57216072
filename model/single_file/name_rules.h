#pragma once
// From the names of the original layout to those of diffusers and transformers.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "model/single_file/text_layout.h"
#include "model/single_file/unet_layout.h"
#include "model/weights/weight_set.h"

namespace stepcast::model {

// Each gives the views of one component's tensors. A tensor of the component that is not known keeps its name, so that
// it is told as unused; a tensor of no concern to the component has none.
ViewRule UNetNames(const UNetLayout& layout);
// Of a ControlNet whose names begin with `prefix`; its embedding of hints has convolutions 0, 2, .., `last_hint`.
ViewRule ControlNames(const UNetLayout& layout, const std::string& prefix, int64_t last_hint);
// `prefix` as ReadVaeLayout. Levels count from the full size in one layout and to it in the other.
ViewRule VaeNames(const std::string& prefix, int64_t levels);
// Tensors with diffusers' names, as they are.
ViewRule SameNames();
// Of the tower's layers the first `layers`; others are not wanted. Fused projections of q, k and v are cut in three.
ViewRule TextNames(const TextPlace& place, int64_t layers);

// Whether checkpoints hold the tensor for the sake of training or as a mark, and painting has no use for it.
bool IsNeedless(absl::string_view name);

}  // namespace stepcast::model
