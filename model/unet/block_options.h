#pragma once
// What a U-Net's config asks of each of its blocks.

#include <vector>

#include "model/unet/unet_blocks.h"
#include "model/unet/unet_config.h"

namespace stepcast::model {

// What all blocks of a U-Net share; `time` and `text` collect their projections.
UNetBlockOptions CommonOptions(const UNetConfig& config, StackedLinear* time, StackedLinear* text);

// `common` for one block of the way down or up, and for the one between them.
UNetBlockOptions WithBlock(UNetBlockOptions common, const UNetConfig& config, const UNetBlockConfig& block);
UNetBlockOptions WithMid(UNetBlockOptions common, const UNetConfig& config);

// The size that a U-Net was trained at, at each level of the way down: most requests ask for the first.
std::vector<SpatialSize> UsualSizes(const UNetConfig& config);

// A convolution that keeps the size, at the first level.
ConvGeometry SameSize(const UNetConfig& config, int64_t kernel);

}  // namespace stepcast::model
