#pragma once
// CLIP's byte-pair tokenizer, equal to the reference fast tokenizer (transformers) id for id.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stepcast {

// A prompt as a text encoder wants it.
struct TokenizedPrompt {
  std::vector<int32_t> ids;  // start token, content, end token, padding: always max_length() entries
  std::string truncated;     // the part of the text that did not fit, spelled from its tokens; "" when all did
};

// Tokens that stand for themselves in what is handed to a text encoder.
struct ControlTokens {
  int32_t start = 0;
  int32_t end = 0;
  int32_t pad = 0;
  int32_t comma = -1;  // a comma that ends a word, as all do; -1: no such token
};

// Immutable once loaded.
//
// A control token that a user types, such as "<|endoftext|>", becomes the control token, as in the reference: a text
// encoder that pools at the first end token then ignores what follows. Only its writer's picture changes. In upper case
// it does so only where the files say that the token is normalised.
//
// Thread-safety: const methods may be called from any thread.
class ClipTokenizer {
 public:
  // Loads tokenizer.json, or vocab.json and merges.txt, with tokenizer_config.json, special_tokens_map.json and
  // added_tokens.json where they exist, from `dir`. Nothing in the files is trusted. Instead of a folder `dir` may be
  // one of the built-in ones (text/vocabulary/built_in_clip.h). Errors: NOT_FOUND, INVALID_ARGUMENT or UNIMPLEMENTED
  // naming the file, the place in it and what is wrong.
  static absl::StatusOr<std::unique_ptr<const ClipTokenizer>> Load(const std::string& dir);

  virtual ~ClipTokenizer() = default;

  // REQUIRES: `text` is valid UTF-8 (the validator has checked it); invalid bytes become U+FFFD.
  virtual TokenizedPrompt Encode(std::string_view text) const = 0;

  // The ids of `text` alone: no start, no end, no padding, nothing cut. REQUIRES: as Encode.
  virtual std::vector<int32_t> EncodeContent(std::string_view text) const = 0;

  // The text of `ids`, as TokenizedPrompt::truncated spells it.
  virtual std::string Decode(std::span<const int32_t> ids) const = 0;

  virtual ControlTokens control_tokens() const = 0;

  // Tokens per prompt, padding included; 77 for CLIP.
  virtual int max_length() const = 0;

  // The largest id that Encode may return: the text encoder's embedding must have more rows than this.
  virtual int32_t max_id() const = 0;
};

}  // namespace stepcast
