#include "text/prompt/pseudo_words.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "text/prompt/prompt_scan.h"
#include "text/unicode/unicode.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

// A text in lower case, and where each of its bytes came from.
struct FoldedText {
  std::string text;
  std::vector<size_t> origins;  // one more than bytes
};

FoldedText Fold(std::string_view text) {
  FoldedText folded;
  folded.text.reserve(text.size());
  folded.origins.reserve(text.size() + 1);
  for (size_t next = 0; next < text.size();) {
    const size_t start = next;
    AppendLowercase(ReadCharacter(text, &next), &folded.text);
    // No spelling begins or ends inside a character, so it matters little where its inner bytes are from.
    folded.origins.push_back(start);
    folded.origins.resize(folded.text.size(), next);
  }
  folded.origins.push_back(text.size());
  return folded;
}

// The ways to write `word`, in lower case, each once.
std::vector<std::string> Spellings(const PseudoWord& word) {
  std::vector<std::string> spellings = {Fold(word.name).text, Fold("<" + word.name + ">").text};
  if (!word.token.empty() && word.token != "*") spellings.push_back(Fold(word.token).text);
  std::sort(spellings.begin(), spellings.end());
  spellings.erase(std::unique(spellings.begin(), spellings.end()), spellings.end());
  return spellings;
}

bool TouchesWords(std::string_view spelling) {
  size_t next = 0;
  return IsWordCharacter(ReadCharacter(spelling, &next)) || IsWordCharacter(CharacterBefore(spelling, spelling.size()));
}

absl::Status CheckName(std::string_view name) {
  if (name.empty() || name.size() > PseudoWords::kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("textual inversion ", QuoteToken(name), ": the name has ",
                                                   name.size(), " bytes; allowed are 1..", PseudoWords::kMaxNameBytes));
  }
  if (!IsValidUtf8(name)) {
    return absl::InvalidArgumentError(absl::StrCat("textual inversion ", QuoteToken(name), ": the name is no UTF-8"));
  }
  if (SkipSpace(name, 0) > 0 || SpaceBefore(name, 0, name.size()) < name.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("textual inversion ", QuoteToken(name), ": the name begins or ends in white space"));
  }
  return absl::OkStatus();
}

absl::Status CheckWord(const PseudoWord& word, const ClipTokenizer& tokenizer) {
  if (absl::Status status = CheckName(word.name); !status.ok()) return status;
  if (!word.token.empty() && word.token != "*") {
    if (absl::Status status = CheckName(word.token); !status.ok()) return status;
  }
  const int most = tokenizer.max_length() - 2;
  if (word.vectors < 1 || word.vectors > most) {
    return absl::InvalidArgumentError(absl::StrCat("textual inversion ", QuoteToken(word.name), ": ", word.vectors,
                                                   " vectors; a chunk takes 1..", most));
  }
  for (const std::string& spelling : Spellings(word)) {
    if (tokenizer.EncodeContent(spelling).size() == 1) {
      return absl::InvalidArgumentError(absl::StrCat("textual inversion ", QuoteToken(word.name), ": ",
                                                     QuoteToken(spelling),
                                                     " is a word of the model's vocabulary; give it another name"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

PseudoWords PseudoWords::Create(const std::vector<PseudoWord>& words, const ClipTokenizer& tokenizer,
                                std::vector<absl::Status>* refused) {
  PseudoWords table;
  std::vector<AddedToken> tokens;
  absl::flat_hash_map<std::string, std::string> owners;  // names by spelling
  for (const PseudoWord& word : words) {
    absl::Status status = CheckWord(word, tokenizer);
    const std::vector<std::string> spellings = status.ok() ? Spellings(word) : std::vector<std::string>();
    for (const std::string& spelling : spellings) {
      const auto owner = owners.find(spelling);
      if (owner == owners.end()) continue;
      status = absl::InvalidArgumentError(absl::StrCat("textual inversion ", QuoteToken(word.name), ": ",
                                                       QuoteToken(spelling), " is what ", QuoteToken(owner->second),
                                                       " is called, too"));
      break;
    }
    if (!status.ok()) {
      refused->push_back(std::move(status));
      continue;
    }
    for (const std::string& spelling : spellings) {
      owners.emplace(spelling, word.name);
      tokens.push_back({.content = spelling,
                        .id = static_cast<int32_t>(table.words_.size()),
                        .single_word = TouchesWords(spelling)});
    }
    table.words_.push_back(word);
    table.first_vectors_.push_back(table.vectors_);
    table.vectors_ += word.vectors;
  }
  if (!tokens.empty()) table.spellings_ = *AddedTokenMatcher::Create(tokens, false, false);
  return table;
}

std::vector<PseudoWords::Piece> PseudoWords::Split(std::string_view text) const {
  std::vector<Piece> pieces;
  if (!spellings_.has_value()) {
    if (!text.empty()) pieces.push_back({.text = text});
    return pieces;
  }
  const FoldedText folded = Fold(text);
  for (const AddedTokenMatcher::Piece& piece : spellings_->Split(folded.text)) {
    const auto at = static_cast<size_t>(piece.text.data() - folded.text.data());
    const size_t start = folded.origins[at], stop = folded.origins[at + piece.text.size()];
    pieces.push_back({.text = text.substr(start, stop - start), .word = piece.id});
  }
  return pieces;
}

int PseudoWords::WordOfVector(int vector) const {
  const auto behind = std::upper_bound(first_vectors_.begin(), first_vectors_.end(), vector);
  return static_cast<int>(behind - first_vectors_.begin()) - 1;
}

}  // namespace stepcast
