#pragma once
// The layers of a model that LoRAs can change, as the torch-free rooms know them.

#include <cstdint>
#include <string>
#include <vector>

namespace stepcast {

// A matrix or a convolution of a network.
struct LoraSite {
  std::string name;    // as diffusers calls it: "down_blocks.0.attentions.0.proj_in"
  int64_t in = 0;      // channels
  int64_t out = 0;     // channels
  int64_t kernel = 0;  // width and height of a convolution's; 0: a matrix

  friend bool operator==(const LoraSite&, const LoraSite&) = default;
};

// The sites of one network of a model, in the order in which the network counts them.
struct LoraNetwork {
  std::string component;  // "unet", "text_encoder", "text_encoder_2"
  std::vector<LoraSite> sites;
  std::string dtype = {};  // that it computes in: "fp32", "bf16", "fp16"

  friend bool operator==(const LoraNetwork&, const LoraNetwork&) = default;
};

// All of a model; empty: no LoRA goes with it.
using LoraTargets = std::vector<LoraNetwork>;

}  // namespace stepcast
