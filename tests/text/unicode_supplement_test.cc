#include "text/unicode/unicode_supplement.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(UnicodeSupplementTest, ClassesAtTheEndsOfRanges) {
  const std::pair<char32_t, CharacterClass> cases[] = {
      {0x1C88, CharacterClass::kOther},   {0x1C89, CharacterClass::kLetter},  {0x1C8A, CharacterClass::kLetter},
      {0x1C8B, CharacterClass::kOther},   {0x10D40, CharacterClass::kNumber}, {0x10D49, CharacterClass::kNumber},
      {0x10D4A, CharacterClass::kLetter}, {0x2EBEF, CharacterClass::kOther},  {0x2EBF0, CharacterClass::kLetter},
      {0x2EE5D, CharacterClass::kLetter}, {0x2EE5E, CharacterClass::kOther},  {0x10FFFF, CharacterClass::kOther}};
  for (const auto& [character, expected] : cases) {
    EXPECT_EQ(ClassifyNewer(character), expected) << std::hex << static_cast<uint32_t>(character);
  }
}

TEST(UnicodeSupplementTest, LowercaseMovesAlongARange) {
  const std::pair<char32_t, char32_t> cases[] = {{0x1C89, 0x1C8A},   {0xA7CB, 0x264},    {0xA7DC, 0x19B},
                                                 {0x10D50, 0x10D70}, {0x10D65, 0x10D85}, {0x10D66, 0x10D66},
                                                 {0x16EA0, 0x16EBB}, {0x16EB8, 0x16ED3}, {0x16EB9, 0x16EB9}};
  for (const auto& [upper, lower] : cases) {
    EXPECT_EQ(LowercaseNewer(upper), lower) << std::hex << static_cast<uint32_t>(upper);
  }
}

}  // namespace
}  // namespace stepcast
