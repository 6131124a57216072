#pragma once
// Words that are no words: textual inversion. A file's vectors stand where its name stands in a prompt.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {

// The text side of a file: what calls it, and how many vectors it holds.
struct PseudoWord {
  std::string name = {};   // of the file, without folder and ending; found as a word, and as "<name>"
  std::string token = {};  // what the file itself calls it, found as well; "" or "*": nothing
  int vectors = 1;
};

// The pseudo-words of a model. Vector k of them all has the id behind the largest of the vocabulary plus k, in the
// order of the words: where the rows belong that are appended to the text encoder's embedding.
//
// Thread-safety: const methods may be called from any thread.
class PseudoWords {
 public:
  static constexpr size_t kMaxNameBytes = 128;

  // A stretch of a text: a pseudo-word, or text.
  struct Piece {
    std::string_view text = {};
    int word = -1;  // index; -1: text
  };

  PseudoWords() = default;

  // Takes those of `words` that are fit and adds an error to `refused` for each other: a name that is empty, too long,
  // begins or ends in white space or is no UTF-8; vectors that do not fit into one chunk of `tokenizer`; a spelling
  // that is one token of its vocabulary, or that an earlier word has. Upper and lower case are the same.
  static PseudoWords Create(const std::vector<PseudoWord>& words, const ClipTokenizer& tokenizer,
                            std::vector<absl::Status>* refused);

  // Cuts `text` into pieces, in order: the leftmost spelling, of several the longest. One that begins or ends in a
  // letter or digit does not touch others. Empty stretches are left out. Linear in `text`. REQUIRES: valid UTF-8.
  std::vector<Piece> Split(std::string_view text) const;

  size_t size() const { return words_.size(); }
  int vectors() const { return vectors_; }  // of all words
  const PseudoWord& word(int index) const { return words_[static_cast<size_t>(index)]; }
  int first_vector(int index) const { return first_vectors_[static_cast<size_t>(index)]; }

  // The word that has the vector. REQUIRES: 0 <= vector < vectors().
  int WordOfVector(int vector) const;

 private:
  std::vector<PseudoWord> words_;
  std::vector<int> first_vectors_;
  int vectors_ = 0;
  std::optional<AddedTokenMatcher> spellings_;  // in lower case; none without words
};

}  // namespace stepcast
