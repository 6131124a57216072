#pragma once
// What decoders take of memory, told by their configs.

#include "core/decoding.h"
#include "model/vae/autoencoder_config.h"
#include "model/vae/autoencoder_tiny.h"

namespace stepcast::model {

// Bytes per pixel at the peak of a decode of one picture: activations of `element` bytes each, and what comes out in
// float32. An upper bound that the tests hold against what is allocated.
double PeakBytesPerPixel(const AutoencoderConfig& config, double element);
double PeakBytesPerPixel(const AutoencoderTinyConfig& config, double element);

}  // namespace stepcast::model
