#pragma once
// Tokens that are found in a text as whole strings, before any word splitting.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stepcast {

// One added token. The flags are those of the tokenizer files.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // not next to a word character
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space behind it
  bool normalized = false;   // its normalised form is looked for in the normalised text
  bool special = false;
};

// Finds the added tokens of one kind (normalised or not), leftmost and longest first.
//
// Thread-safety: const methods may be called from any thread.
class AddedTokenMatcher {
 public:
  // A stretch of the text: an added token, or text for the next stage.
  struct Piece {
    std::string_view text;
    int32_t id = -1;  // -1: text
  };

  // Takes those of `tokens` whose `normalized` equals `normalized`. With `split_special`, special tokens are not found.
  // Errors: INVALID_ARGUMENT when two tokens have the same text after normalisation.
  static absl::StatusOr<AddedTokenMatcher> Create(const std::vector<AddedToken>& tokens, bool normalized,
                                                  bool split_special);

  // Cuts `text` into pieces, in order; empty stretches are left out. REQUIRES: valid UTF-8.
  std::vector<Piece> Split(std::string_view text) const;

 private:
  struct Pattern {
    std::string text;
    AddedToken token;
    bool ignored = false;
  };
  // Patterns that start with one byte: [begin, end) of patterns_.
  struct Range {
    uint32_t begin = 0;
    uint32_t end = 0;
  };

  AddedTokenMatcher() = default;
  const Pattern* LongestAt(std::string_view text, size_t position) const;
  static bool TouchesWord(std::string_view text, size_t start, size_t stop);

  std::vector<Pattern> patterns_;  // sorted by text
  std::array<Range, 256> by_first_byte_{};
};

}  // namespace stepcast
