#include "text/prompt/prompt_scan.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "text/unicode/unicode.h"

namespace stepcast {

bool IsPromptSpace(char32_t character) {
  return Classify(character) == CharacterClass::kSpace || (character >= 0x1C && character <= 0x1F);
}

bool IsPromptWord(char32_t character) {
  const CharacterClass character_class = Classify(character);
  return character == '_' || character_class == CharacterClass::kLetter || character_class == CharacterClass::kNumber;
}

size_t SkipSpace(std::string_view text, size_t position) {
  while (position < text.size()) {
    size_t next = position;
    if (!IsPromptSpace(ReadCharacter(text, &next))) break;
    position = next;
  }
  return position;
}

size_t SpaceBefore(std::string_view text, size_t lowest, size_t end) {
  while (end > lowest && IsPromptSpace(CharacterBefore(text, end))) {
    do {
      --end;
    } while (end > lowest && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  }
  return end;
}

size_t FindWord(std::string_view text, std::string_view word, size_t from) {
  for (size_t at = text.find(word, from); at != std::string_view::npos; at = text.find(word, at + word.size())) {
    size_t behind = at + word.size();
    const bool begins = at == 0 || !IsPromptWord(CharacterBefore(text, at));
    if (begins && (behind == text.size() || !IsPromptWord(ReadCharacter(text, &behind)))) return at;
  }
  return std::string_view::npos;
}

std::optional<double> NumberRun::Value() const {
  double value = 0;
  if (std::count(digits.begin(), digits.end(), '.') > 1 || !absl::SimpleAtod(digits, &value)) return std::nullopt;
  return value;
}

NumberRun ReadNumberRun(std::string_view text, size_t position) {
  NumberRun run;
  if (position < text.size() && (text[position] == '+' || text[position] == '-')) run.digits += text[position++];
  while (position < text.size()) {
    size_t next = position;
    const char32_t character = ReadCharacter(text, &next);
    const std::optional<int> digit = DecimalDigit(character);
    if (character != '.' && !digit.has_value()) break;
    run.digits += digit.has_value() ? static_cast<char>('0' + *digit) : '.';
    run.end = position = next;
  }
  return run;
}

}  // namespace stepcast
