#pragma once
// What both halves of an autoencoder are built of.

#include "model/layers/conv2d.h"
#include "model/unet/unet_blocks.h"
#include "model/vae/autoencoder_config.h"

namespace stepcast::model {

inline constexpr double kAutoencoderNormEps = 1e-6;
inline constexpr ConvGeometry kPointwise{.kernel = 1, .stride = 1, .padding = 0};

// Of a block of resnets; its channels and layers are the caller's.
UNetBlockOptions AutoencoderBlockOptions(const AutoencoderConfig& config);
// Of the block where the picture is smallest.
UNetBlockOptions AutoencoderMidOptions(const AutoencoderConfig& config);

}  // namespace stepcast::model
