#pragma once
// The few Unicode facts that the tokenizer's normaliser and splitter need, pinned so that token ids do not depend on
// which ICU a distribution ships.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace stepcast {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

// What a character is to the word splitter.
enum class CharacterClass {
  kSpace,   // White_Space
  kLetter,  // general category L*
  kNumber,  // general category N*
  kOther,   // everything else: marks, punctuation, symbols, controls, unassigned
};

// By Unicode 16, the version of the reference's regular expressions.
CharacterClass Classify(char32_t character);

// The value of a decimal digit of any script, by Unicode 15.
std::optional<int> DecimalDigit(char32_t character);

// Letters, marks, decimal digits, connectors and joiners: what a single-word added token may not touch.
bool IsWordCharacter(char32_t character);

// Reads the character at `text[*position]` and moves `*position` behind it. A maximal ill-formed sequence is one
// U+FFFD. REQUIRES: *position < text.size().
char32_t ReadCharacter(std::string_view text, size_t* position);

// Reads the character that ends at `text[end - 1]`. REQUIRES: 0 < end <= text.size().
char32_t CharacterBefore(std::string_view text, size_t end);

void AppendCharacter(char32_t character, std::string* text);

bool IsValidUtf8(std::string_view text);

// `text` with every maximal ill-formed sequence replaced by U+FFFD.
std::string ReplaceInvalidUtf8(std::string_view text);

// Appends the lower case of one character, without regard to its neighbours (no Greek final sigma). U+0130 gives two.
void AppendLowercase(char32_t character, std::string* text);

}  // namespace stepcast
