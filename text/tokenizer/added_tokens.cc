#include "text/tokenizer/added_tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "text/tokenizer/normalizer.h"
#include "text/unicode/unicode.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

bool IsSpace(char32_t character) { return Classify(character) == CharacterClass::kSpace; }

// Where the white space that ends at `end` begins, not before `lowest`.
size_t SpaceStart(std::string_view text, size_t lowest, size_t end) {
  while (end > lowest) {
    const char32_t character = CharacterBefore(text, end);
    if (!IsSpace(character)) {
      break;
    }
    do {
      --end;
    } while (end > lowest && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  }
  return end;
}

size_t SpaceEnd(std::string_view text, size_t start) {
  while (start < text.size()) {
    size_t next = start;
    if (!IsSpace(ReadCharacter(text, &next))) {
      break;
    }
    start = next;
  }
  return start;
}

}  // namespace

absl::StatusOr<AddedTokenMatcher> AddedTokenMatcher::Create(const std::vector<AddedToken>& tokens, bool normalized,
                                                            bool split_special) {
  AddedTokenMatcher matcher;
  for (const AddedToken& token : tokens) {
    if (token.normalized == normalized) {
      matcher.patterns_.push_back({.text = normalized ? NormalizeText(token.content) : token.content,
                                   .token = token,
                                   .ignored = split_special && token.special});
    }
  }
  std::vector<Pattern>& patterns = matcher.patterns_;
  std::sort(patterns.begin(), patterns.end(), [](const Pattern& a, const Pattern& b) { return a.text < b.text; });
  for (size_t index = 0; index < patterns.size(); ++index) {
    if (index > 0 && patterns[index].text == patterns[index - 1].text) {
      return absl::InvalidArgumentError(absl::StrCat("added tokens ", QuoteToken(patterns[index - 1].token.content),
                                                     " and ", QuoteToken(patterns[index].token.content),
                                                     " are the same text"));
    }
    Range& range = matcher.by_first_byte_[static_cast<unsigned char>(patterns[index].text.front())];
    if (range.end == 0) {
      range.begin = static_cast<uint32_t>(index);
    }
    range.end = static_cast<uint32_t>(index + 1);
  }
  return matcher;
}

// Narrows the sorted patterns byte by byte; a pattern that ends where the narrowing stands is the first of its range.
const AddedTokenMatcher::Pattern* AddedTokenMatcher::LongestAt(std::string_view text, size_t position) const {
  auto [begin, end] = by_first_byte_[static_cast<unsigned char>(text[position])];
  const Pattern* longest = nullptr;
  for (size_t depth = 1; begin < end; ++depth) {
    if (patterns_[begin].text.size() == depth) {
      longest = &patterns_[begin];
      ++begin;
    }
    if (position + depth >= text.size()) {
      break;
    }
    const auto byte = static_cast<unsigned char>(text[position + depth]);
    const auto byte_of = [depth](const Pattern& pattern) { return static_cast<unsigned char>(pattern.text[depth]); };
    const auto first = patterns_.begin() + begin;
    const auto last = patterns_.begin() + end;
    const auto low = std::partition_point(first, last, [&](const Pattern& p) { return byte_of(p) < byte; });
    const auto high = std::partition_point(low, last, [&](const Pattern& p) { return byte_of(p) == byte; });
    begin = static_cast<uint32_t>(low - patterns_.begin());
    end = static_cast<uint32_t>(high - patterns_.begin());
  }
  return longest;
}

bool AddedTokenMatcher::TouchesWord(std::string_view text, size_t start, size_t stop) {
  size_t next = stop;
  return (start > 0 && IsWordCharacter(CharacterBefore(text, start))) ||
         (stop < text.size() && IsWordCharacter(ReadCharacter(text, &next)));
}

std::vector<AddedTokenMatcher::Piece> AddedTokenMatcher::Split(std::string_view text) const {
  std::vector<Piece> pieces;
  size_t done = 0;  // everything before is in a piece
  for (size_t position = 0; position < text.size();) {
    const Pattern* pattern = LongestAt(text, position);
    if (pattern == nullptr) {
      ++position;
      continue;
    }
    const size_t match_end = position + pattern->text.size();
    if (!pattern->ignored && !(pattern->token.single_word && TouchesWord(text, position, match_end))) {
      const size_t start = std::max(done, pattern->token.lstrip ? SpaceStart(text, done, position) : position);
      const size_t stop = pattern->token.rstrip ? SpaceEnd(text, match_end) : match_end;
      if (done < start) {
        pieces.push_back({.text = text.substr(done, start - done)});
      }
      pieces.push_back({.text = text.substr(start, stop - start), .id = pattern->token.id});
      done = stop;
    }
    position = match_end;
  }
  if (done < text.size()) {
    pieces.push_back({.text = text.substr(done)});
  }
  return pieces;
}

}  // namespace stepcast
