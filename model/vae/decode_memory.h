#pragma once
// What decoders take of memory, told by their configs.

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "core/decoding.h"
#include "model/vae/autoencoder_config.h"
#include "model/vae/autoencoder_tiny.h"

namespace stepcast::model {

// What a value costs that a layer reads or writes. A CPU without instructions for a 16-bit type convolves by unfolding
// its input, which takes a multiple of the type's own bytes.
double ActivationBytes(c10::ScalarType dtype, c10::Device device);

// Bytes per pixel at the peak of a decode of one picture: activations of `element` bytes each (ActivationBytes), and
// what comes out in float32. An upper bound that the tests hold against what is allocated.
double PeakBytesPerPixel(const AutoencoderConfig& config, double element);
double PeakBytesPerPixel(const AutoencoderTinyConfig& config, double element);

}  // namespace stepcast::model
