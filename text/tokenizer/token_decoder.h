#pragma once
// Turns ids back into readable text, for messages about what did not fit.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer/added_tokens.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {

// Thread-safety: const methods may be called from any thread.
class TokenDecoder {
 public:
  TokenDecoder(const Vocabulary& vocabulary, const std::vector<AddedToken>& tokens);

  // The text of `ids` as the reference spells it: lower case, one space between words and punctuation, no space at the
  // ends, U+FFFD for a character that was cut in two.
  std::string Decode(std::span<const int32_t> ids) const;

  // The largest id that any token has.
  int32_t max_id() const { return static_cast<int32_t>(spellings_.size()) - 1; }

 private:
  std::vector<std::string> spellings_;  // bytes by id
};

}  // namespace stepcast
