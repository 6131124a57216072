#include "text/tokenizer/normalizer.h"

#include "text/unicode/canonical_composition.h"
#include "text/unicode/unicode.h"

namespace stepcast {

std::string NormalizeText(std::string_view text) {
  const std::string composed = ComposeCanonically(text);
  std::string normalized;
  normalized.reserve(composed.size());
  bool in_space = false;
  for (size_t position = 0; position < composed.size();) {
    const char32_t character = ReadCharacter(composed, &position);
    const bool is_space = Classify(character) == CharacterClass::kSpace;
    if (!is_space) {
      AppendLowercase(character, &normalized);
    } else if (!in_space) {
      normalized.push_back(' ');
    }
    in_space = is_space;
  }
  return normalized;
}

}  // namespace stepcast
