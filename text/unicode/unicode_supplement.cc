#include "text/unicode/unicode_supplement.h"

#include <algorithm>
#include <iterator>

namespace stepcast {
namespace {

struct ClassRange {
  char32_t first;
  char32_t last;
  CharacterClass character_class;
};

constexpr CharacterClass kLetter = CharacterClass::kLetter;
constexpr CharacterClass kNumber = CharacterClass::kNumber;

// Sorted by code point.
constexpr ClassRange kClasses[] = {
    {0x1C89, 0x1C8A, kLetter},   {0xA7CB, 0xA7CD, kLetter},   {0xA7DA, 0xA7DC, kLetter},   {0x105C0, 0x105F3, kLetter},
    {0x10D40, 0x10D49, kNumber}, {0x10D4A, 0x10D65, kLetter}, {0x10D6F, 0x10D85, kLetter}, {0x10EC2, 0x10EC4, kLetter},
    {0x11380, 0x11389, kLetter}, {0x1138B, 0x1138B, kLetter}, {0x1138E, 0x1138E, kLetter}, {0x11390, 0x113B5, kLetter},
    {0x113B7, 0x113B7, kLetter}, {0x113D1, 0x113D1, kLetter}, {0x113D3, 0x113D3, kLetter}, {0x116D0, 0x116E3, kNumber},
    {0x11BC0, 0x11BE0, kLetter}, {0x11BF0, 0x11BF9, kNumber}, {0x13460, 0x143FA, kLetter}, {0x16100, 0x1611D, kLetter},
    {0x16130, 0x16139, kNumber}, {0x16D40, 0x16D6C, kLetter}, {0x16D70, 0x16D79, kNumber}, {0x18CFF, 0x18CFF, kLetter},
    {0x1CCF0, 0x1CCF9, kNumber}, {0x1E5D0, 0x1E5ED, kLetter}, {0x1E5F0, 0x1E5F0, kLetter}, {0x1E5F1, 0x1E5FA, kNumber},
    {0x2EBF0, 0x2EE5D, kLetter},
};

struct CaseRange {
  char32_t first;
  char32_t last;
  char32_t first_lowercase;
};

// Sorted by code point.
constexpr CaseRange kLowercase[] = {
    {0x1C89, 0x1C89, 0x1C8A},    {0xA7CB, 0xA7CB, 0x264},     {0xA7CC, 0xA7CC, 0xA7CD}, {0xA7CE, 0xA7CE, 0xA7CF},
    {0xA7D2, 0xA7D2, 0xA7D3},    {0xA7D4, 0xA7D4, 0xA7D5},    {0xA7DA, 0xA7DA, 0xA7DB}, {0xA7DC, 0xA7DC, 0x19B},
    {0x10D50, 0x10D65, 0x10D70}, {0x16EA0, 0x16EB8, 0x16EBB},
};

// The range that holds `character`, or nullptr.
template <typename Range, size_t kCount>
const Range* Find(const Range (&ranges)[kCount], char32_t character) {
  const Range* range =
      std::lower_bound(std::begin(ranges), std::end(ranges), character,
                       [](const Range& candidate, char32_t wanted) { return candidate.last < wanted; });
  return range != std::end(ranges) && range->first <= character ? range : nullptr;
}

}  // namespace

CharacterClass ClassifyNewer(char32_t character) {
  const ClassRange* range = Find(kClasses, character);
  return range == nullptr ? CharacterClass::kOther : range->character_class;
}

char32_t LowercaseNewer(char32_t character) {
  const CaseRange* range = Find(kLowercase, character);
  return range == nullptr ? character : range->first_lowercase + (character - range->first);
}

}  // namespace stepcast
