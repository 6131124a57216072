#pragma once
// CLIP's byte-pair tokenizer, equal to the reference fast tokenizer (transformers) id for id.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stepcast {

// A prompt as a text encoder wants it.
struct TokenizedPrompt {
  std::vector<int32_t> ids;  // start token, content, end token, padding: always max_length() entries
  std::string truncated;     // the part of the text that did not fit, "" when all did
};

// Immutable once loaded.
//
// Thread-safety: const methods may be called from any thread.
class ClipTokenizer {
 public:
  // Loads vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json (or tokenizer.json alone)
  // from `dir`. Errors: NOT_FOUND or INVALID_ARGUMENT naming the file and what is wrong with it.
  static absl::StatusOr<std::unique_ptr<const ClipTokenizer>> Load(const std::string& dir);

  virtual ~ClipTokenizer() = default;

  // REQUIRES: `text` is valid UTF-8 (the validator has checked it); invalid bytes become U+FFFD.
  virtual TokenizedPrompt Encode(std::string_view text) const = 0;

  // Tokens per prompt, padding included; 77 for CLIP.
  virtual int max_length() const = 0;
};

}  // namespace stepcast
