#pragma once
// In which language prompts are written.

#include <cstdint>

namespace stepcast {

enum class PromptSyntax : uint8_t {
  kPlain,        // every character is text
  kA1111,        // AUTOMATIC1111's web UI; the mean of the encoder's output is restored after weighing
  kA1111NoNorm,  // the same text and weights; the mean is not restored
};

}  // namespace stepcast
