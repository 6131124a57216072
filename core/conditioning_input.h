#pragma once
// What one row of a forward is to show, in words that need no tensor.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/prompt_tokens.h"

namespace stepcast {

// A LoRA in the text encoders.
struct TextLora {
  std::string key;  // LoraKey
  float scale = 1.0f;

  friend bool operator==(const TextLora&, const TextLora&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const TextLora& lora) {
    return H::combine(std::move(h), lora.key, lora.scale);
  }
};

// A prompt, ready for the text encoders, or a class. Whatever a model does not read is empty. Two rows with equal
// inputs of one model have equal conditioning.
struct ConditioningInput {
  PromptTokens text = {};
  int clip_skip = 0;                              // last layers that are left out, 0 .. layers - 1
  std::optional<int> class_index = std::nullopt;  // nullopt: any class
  std::vector<float> size_ids = {};               // SizeIds of core/size_conditioning.h
  bool zero = false;                              // zeros instead of what the text encoders say, beside the size ids
  std::vector<TextLora> loras = {};

  friend bool operator==(const ConditioningInput&, const ConditioningInput&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const ConditioningInput& input) {
    return H::combine(std::move(h), input.text, input.clip_skip, input.class_index, input.size_ids, input.zero,
                      input.loras);
  }
};

}  // namespace stepcast
