#pragma once
// A CLIP text tower in the layout of OpenAI's or of OpenCLIP's code: its sizes, read from names and shapes.

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "model/single_file/tensor_listing.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

enum class TextNaming { kClip, kOpenClip };  // OpenCLIP's has q, k and v in one matrix

// Where a text tower lies in a file.
struct TextPlace {
  std::string prefix;  // "cond_stage_model.transformer."
  TextNaming naming = TextNaming::kClip;
};

struct TextLayout {
  int64_t vocabulary = 0;
  int64_t positions = 0;
  int64_t width = 0;
  int64_t inner_width = 0;
  int64_t layers = 0;
  int64_t projection = 0;  // width of the pooled text's projection; 0: none
};

// Errors: INVALID_ARGUMENT naming the tensor that is missing.
absl::StatusOr<TextLayout> ReadTextLayout(const TensorListing& tensors, const TextPlace& place);

// The config of a CLIPTextModel, or with `projection` of a CLIPTextModelWithProjection.
// Errors: INVALID_ARGUMENT when its channels do not divide into heads of 64, as in every tower that was published.
absl::StatusOr<nlohmann::json> TextConfigJson(const TextLayout& layout, TextNaming naming, bool projection);

}  // namespace stepcast::model
