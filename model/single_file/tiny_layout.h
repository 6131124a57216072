#pragma once
// A tiny autoencoder (TAESD) in a file of its own: its sizes, read from the names and shapes of its tensors.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/single_file/tensor_listing.h"
#include "model/weights/weight_set.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

// A decoder in one of the layouts that are about: diffusers' ("decoder.layers.0.weight"), and the original one, where
// a clamp is counted as the first layer, bare ("1.weight", taesd_decoder.safetensors) or below "decoder." or
// "taesd_decoder.".
struct TinyLayout {
  std::string prefix;  // in front of the number of a layer
  int64_t first = 0;   // number of the layer that diffusers calls 0
  int64_t width = 0;   // channels
  int64_t latent_channels = 0;
  std::vector<int64_t> blocks;  // per size, up to the full one
};

// nullopt: these are the tensors of something else.
std::optional<TinyLayout> FindTinyDecoder(const TensorListing& tensors);

// Whether it is the encoder alone, which cannot paint: "0.weight" and residual blocks from "1." on.
bool IsTinyEncoder(const TensorListing& tensors);

// The config of an AutoencoderTiny.
nlohmann::json TinyConfigJson(const TinyLayout& layout);

// diffusers' names for the decoder; other tensors have none.
ViewRule TinyNames(const TinyLayout& layout);

}  // namespace stepcast::model
