#pragma once
// A1111's attention syntax: brackets that weigh words.

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "text/prompt/prompt_parser.h"

namespace stepcast {

// Reads `text`, which begins at `offset` of the prompt:
//   (words)      weigh 1.1 times as much
//   (words:1.3)  1.3 times; any sign, digits and a point
//   [words]      1 / 1.1 times
//   \( \) \[ \] \\   the character; any other backslash vanishes
//   BREAK        as a word: the chunk ends, also inside brackets; the white space around it vanishes
// Brackets multiply, and need not nest properly. What is open at the end is closed there; what closes nothing is text.
// Errors: INVALID_ARGUMENT "byte offset N: ..." (see ParsePrompt).
absl::StatusOr<std::vector<PromptFragment>> ParseAttention(std::string_view text, size_t offset);

}  // namespace stepcast
