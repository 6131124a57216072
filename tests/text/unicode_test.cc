#include "text/unicode/unicode.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "core/sha256.h"
#include "nlohmann/json.hpp"
#include "tests/text/tokenizer_folder.h"

namespace stepcast {
namespace {

constexpr char32_t kEnd = 0x110000;

bool IsSurrogate(char32_t character) { return character >= 0xD800 && character < 0xE000; }

std::string Utf8(char32_t character) {
  std::string text;
  AppendCharacter(character, &text);
  return text;
}

const nlohmann::json& ReferenceFacts() {
  static const nlohmann::json facts = nlohmann::json::parse(ReadWholeFile(TextDataPath("unicode.json")));
  return facts;
}

TEST(UnicodeTest, EveryCodePointHasTheReferencesClass) {
  std::vector<CharacterClass> expected(kEnd, CharacterClass::kOther);
  for (const auto& [name, character_class] :
       {std::pair("L", CharacterClass::kLetter), std::pair("N", CharacterClass::kNumber),
        std::pair("S", CharacterClass::kSpace)}) {
    for (const auto& range : ReferenceFacts()["classes"][name]) {
      std::fill(expected.begin() + range[0].get<int>(), expected.begin() + range[1].get<int>() + 1, character_class);
    }
  }
  int differences = 0;
  for (char32_t character = 0; character < kEnd; ++character) {
    if (!IsSurrogate(character) && Classify(character) != expected[character] && ++differences < 10) {
      ADD_FAILURE() << std::hex << static_cast<uint32_t>(character);
    }
  }
  EXPECT_EQ(differences, 0);
}

TEST(UnicodeTest, EveryCodePointHasTheReferencesLowercase) {
  Sha256 digest;
  int changed = 0;
  for (char32_t character = 0; character < kEnd; ++character) {
    if (IsSurrogate(character)) {
      continue;
    }
    std::string lower;
    AppendLowercase(character, &lower);
    if (const std::string upper = Utf8(character); lower != upper) {
      digest.Update(upper + lower);
      ++changed;
    }
  }
  EXPECT_GT(changed, 1400);
  EXPECT_EQ(digest.HexDigest(), ReferenceFacts()["lowercase_sha256"].get<std::string>());
}

TEST(UnicodeTest, LowercaseIsPerCharacter) {
  const std::pair<const char*, const char*> cases[] = {
      {"A", "a"},       {"z", "z"}, {"[", "["}, {"Σ", "σ"}, {"ς", "ς"},
      {"İ", "i\u0307"}, {"ẞ", "ß"}, {"Ǆ", "ǆ"}, {"ﬁ", "ﬁ"}, {"\U00010400", "\U00010428"}};
  for (const auto& [upper, expected] : cases) {
    size_t position = 0;
    std::string lower;
    AppendLowercase(ReadCharacter(upper, &position), &lower);
    EXPECT_EQ(lower, expected) << upper;
  }
}

TEST(UnicodeTest, ReadsForwardsAndBackwards) {
  const std::string text = "aé猫\U0001F34E";
  const char32_t expected[] = {'a', 0xE9, 0x732B, 0x1F34E};
  size_t position = 0;
  for (const char32_t character : expected) {
    EXPECT_EQ(ReadCharacter(text, &position), character);
    EXPECT_EQ(CharacterBefore(text, position), character);
  }
  EXPECT_EQ(position, text.size());
}

TEST(UnicodeTest, EachMaximalIllFormedSequenceIsOneReplacement) {
  const struct {
    std::string bytes;
    std::string expected;
  } cases[] = {
      {"", ""},
      {"ok é", "ok é"},
      {"\x80", "\uFFFD"},
      {"\xff\xfe", "\uFFFD\uFFFD"},
      {"\xc0\xaf", "\uFFFD\uFFFD"},  // overlong
      {"\xe2\x82", "\uFFFD"},        // cut short
      {"\xe2\x82z", "\uFFFDz"},
      {"\xf0\x9f\x8d", "\uFFFD"},
      {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},            // surrogate
      {"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // beyond U+10FFFF
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(ReplaceInvalidUtf8(bytes), expected);
    EXPECT_EQ(IsValidUtf8(bytes), bytes == expected);
  }
}

TEST(UnicodeTest, WordCharacters) {
  for (const char32_t character : {U'a', U'Z', U'0', U'_', U'é', U'\u0301', U'猫', U'\u200D', U'\u0661', U'\u203F'}) {
    EXPECT_TRUE(IsWordCharacter(character)) << static_cast<uint32_t>(character);
  }
  for (const char32_t character : {U' ', U'-', U'.', U'\u00A0', U'½', U'🍎', U'\u2019', U'\uFFFD'}) {
    EXPECT_FALSE(IsWordCharacter(character)) << static_cast<uint32_t>(character);
  }
}

TEST(UnicodeTest, DecimalDigitsOfAnyScript) {
  const std::pair<char32_t, int> digits[] = {{U'0', 0},      {U'9', 9},      {U'\u0661', 1},
                                             {U'\u0967', 1}, {U'\uFF17', 7}, {U'\U0001D7DA', 2}};
  for (const auto& [character, value] : digits) EXPECT_EQ(DecimalDigit(character), value);
  for (const char32_t character :
       {U'a', U'/', U':', U'.', U'\u00B2', U'\u00BD', U'\u2160', U'\u4E00', U'\uFFFD', U'\U0001CCF0'}) {
    EXPECT_EQ(DecimalDigit(character), std::nullopt) << static_cast<uint32_t>(character);
  }
}

}  // namespace
}  // namespace stepcast
