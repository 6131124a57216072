#pragma once
// The config.json of a ControlNetModel or a ControlNetUnionModel.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/unet/unet_config.h"

namespace stepcast::model {

// What a union net has more: one net for several kinds of hints.
struct ControlUnionConfig {
  int64_t types = 0;       // kinds of hints; 0: no union net
  int64_t width = 320;     // of the tokens that stand for hints; that of the first level of the net
  int64_t layers = 1;      // of it
  int64_t type_width = 0;  // of the sinusoids that tell one kind
};

struct ControlNetConfig {
  UNetConfig unet;                      // no up_blocks
  std::vector<int64_t> hint_channels;   // of the embedding of pictures; each but the first halves the size
  bool bgr = false;                     // the picture's channels are read in the other order
  bool global_pool_conditions = false;  // residuals are means over the picture
  ControlUnionConfig union_net;

  bool is_union() const { return union_net.types > 0; }
  // Pixels of the picture for each cell of the latents.
  int64_t hint_factor() const { return int64_t{1} << (hint_channels.size() - 1); }
};

// Whether `class_name` (`_class_name` of a config) is a ControlNet of a kind that is read.
bool IsControlNetClass(const std::string& class_name);

// Errors: INVALID_ARGUMENT listing every field that is malformed, inconsistent, or asks for something that is not
// built (the field and its value are named).
absl::StatusOr<ControlNetConfig> ParseControlNetConfig(JsonConfig& json, const std::string& class_name);

}  // namespace stepcast::model
