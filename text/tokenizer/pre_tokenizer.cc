#include "text/tokenizer/pre_tokenizer.h"

#include <cstddef>

#include "text/unicode/unicode.h"

namespace stepcast {
namespace {

constexpr std::string_view kControlNames[] = {"startoftext", "endoftext"};
constexpr std::string_view kContractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
constexpr std::string_view kOpen = "<|";
constexpr std::string_view kClose = "|>";

// Length of the control token's spelling at the start of `text`, 0 when there is none; appends its three words.
// The reference splits twice: its byte-level stage applies GPT-2's expression to each word of CLIP's.
size_t SplitControlSpelling(std::string_view text, std::vector<std::string_view>* words) {
  if (!text.starts_with(kOpen)) {
    return 0;
  }
  for (const std::string_view name : kControlNames) {
    const std::string_view rest = text.substr(kOpen.size());
    if (rest.starts_with(name) && rest.substr(name.size()).starts_with(kClose)) {
      words->push_back(text.substr(0, kOpen.size()));
      words->push_back(rest.substr(0, name.size()));
      words->push_back(rest.substr(name.size(), kClose.size()));
      return kOpen.size() + name.size() + kClose.size();
    }
  }
  return 0;
}

size_t ContractionLength(std::string_view text) {
  for (const std::string_view contraction : kContractions) {
    if (text.starts_with(contraction)) {
      return contraction.size();
    }
  }
  return 0;
}

// Length of the run of `wanted` characters at the start of `text`.
size_t RunLength(std::string_view text, CharacterClass wanted) {
  size_t length = 0;
  while (length < text.size()) {
    size_t next = length;
    if (Classify(ReadCharacter(text, &next)) != wanted) {
      break;
    }
    length = next;
  }
  return length;
}

}  // namespace

void SplitWords(std::string_view text, std::vector<std::string_view>* words) {
  for (size_t position = 0; position < text.size();) {
    const std::string_view rest = text.substr(position);
    if (const size_t length = SplitControlSpelling(rest, words); length > 0) {
      position += length;
      continue;
    }
    size_t length = ContractionLength(rest);
    if (length == 0) {
      size_t first = 0;
      const CharacterClass character_class = Classify(ReadCharacter(rest, &first));
      if (character_class == CharacterClass::kSpace) {
        position += first;
        continue;
      }
      length = character_class == CharacterClass::kNumber ? first : RunLength(rest, character_class);
    }
    words->push_back(rest.substr(0, length));
    position += length;
  }
}

}  // namespace stepcast
