#pragma once
// Prompt languages: which words weigh how much, and where a chunk ends. text/README.md has the rules.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/prompt_syntax.h"

namespace stepcast {

// A stretch of a prompt, or the end of a chunk.
struct PromptFragment {
  std::string text = {};  // as it is to be painted: without brackets and escapes; may be empty
  double weight = 1.0;    // finite, of any sign, at most kMaxPromptWeight in size
  bool breaks = false;    // BREAK: the chunk ends here; no text, weight 1
};

// What stands between two ANDs: a prompt of its own.
struct PromptPart {
  std::vector<PromptFragment> fragments = {};  // at least one
  double weight = 1.0;                         // as above
};

inline constexpr double kMaxPromptWeight = 1000.0;
inline constexpr size_t kMaxPromptDepth = 64;  // brackets that are open at one place

// Reads a prompt in which AND is a word: a negative one. Time and memory are linear in `text`, whatever it holds;
// nothing recurses. Neighbours that weigh the same are one fragment. Errors: INVALID_ARGUMENT "byte offset N: ..." for
// what the syntax of other programs would do and ours does not
// ("[a:b:0.5]", "[a|b]", "<lora:name:1>"), for a weight that is no number or too large, for brackets too deep.
// REQUIRES: valid UTF-8.
absl::StatusOr<std::vector<PromptFragment>> ParsePrompt(std::string_view text, PromptSyntax syntax);

// Reads a positive prompt: in the A1111 syntaxes parts, between them the word AND, each with the weight that stands at
// its end (": 0.5"), 1 without. Also the only part of a prompt may end in a weight. Errors and bounds: as above.
absl::StatusOr<std::vector<PromptPart>> ParsePromptParts(std::string_view text, PromptSyntax syntax);

}  // namespace stepcast
