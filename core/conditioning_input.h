#pragma once
// What one row of a forward is to show, in words that need no tensor.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace stepcast {

// A prompt as token ids, or a class. Whatever a model does not read is empty. Two rows with equal inputs of one model
// have equal conditioning.
struct ConditioningInput {
  std::vector<std::vector<int32_t>> token_ids = {};  // one list per text encoder
  int clip_skip = 0;
  std::optional<int> class_index = std::nullopt;  // nullopt: any class
  std::vector<float> size_ids = {};               // SizeIds of core/size_conditioning.h
  bool zero = false;                              // zeros instead of what the text encoders say

  friend bool operator==(const ConditioningInput&, const ConditioningInput&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const ConditioningInput& input) {
    return H::combine(std::move(h), input.token_ids, input.clip_skip, input.class_index, input.size_ids, input.zero);
  }
};

}  // namespace stepcast
