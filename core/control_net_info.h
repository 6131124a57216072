#pragma once
// What the torch-free rooms may know of a ControlNet.

#include <cstdint>
#include <string>
#include <vector>

namespace stepcast {

// What a net and the U-Net whose states it adds to must have in common.
struct ControlShape {
  int64_t latent_channels = 0;
  int64_t pixels_per_cell = 0;         // width and height of a latent cell
  int64_t text_width = 0;              // of the text that cross-attention reads
  int64_t vector_width = 0;            // of pooled text and sizes (SDXL); 0: none
  int64_t classes = 0;                 // of the picture, told beside the time; -1: a number; 0: none
  std::vector<int64_t> channels = {};  // of each level of the way down
  std::vector<int64_t> layers = {};    // of each level

  friend bool operator==(const ControlShape&, const ControlShape&) = default;
};

// Immutable description of one ControlNet that the server has.
struct ControlNetInfo {
  std::string id;          // [a-z0-9][a-z0-9._-]{0,62}; how requests name it
  std::string class_name;  // "ControlNetModel", "ControlNetUnionModel"
  std::string family;      // "Stable Diffusion XL"; for people; "": of no published family
  int union_types = 0;     // kinds of pictures that one of a request is told to be; 0: no union net
  bool pools = false;  // adds means over the picture, and only beside the conditional rows, whatever guess_mode says
  std::string sha256;  // 64 hex digits over its weight and config files
  std::string dtype;   // what it computes in: "fp32", "bf16", "fp16"
  int64_t parameters = 0;
  int64_t bytes = 0;  // of its weights, in that dtype
  ControlShape shape = {};
  std::vector<std::string> stored_types = {};  // "F16"

  friend bool operator==(const ControlNetInfo&, const ControlNetInfo&) = default;
};

}  // namespace stepcast
