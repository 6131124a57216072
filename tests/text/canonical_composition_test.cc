#include "text/unicode/canonical_composition.h"

#include <gtest/gtest.h>
#include <unicode/normalizer2.h>
#include <unicode/unistr.h>

#include <random>
#include <string>

#include "core/sha256.h"
#include "nlohmann/json.hpp"
#include "tests/text/tokenizer_folder.h"
#include "text/unicode/unicode.h"

namespace stepcast {
namespace {

TEST(CanonicalCompositionTest, Examples) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"plain ASCII", "plain ASCII"},
      {"cafe\u0301", "caf\u00E9"},
      {"\u0063\u0327\u0301", "\u1E09"},
      {"\u0063\u0301\u0327", "\u1E09"},   // marks reorder
      {"a\u0301\u0301", "\u00E1\u0301"},  // the second mark stays
      {"a\u0323\u0302", "\u1EAD"},        // composes twice
      {"a\u0316\u0301", "\u00E1\u0316"},  // a lower class is no obstacle
      {"a\u0301b\u0301", "\u00E1b\u0301"},
      {"a\u034F\u0301", "a\u034F\u0301"},                // a starter in between is one
      {"\u212B \u2126 \uF900", "\u00C5 \u03A9 \u8C48"},  // singletons
      {"\u0344", "\u0308\u0301"},
      {"\u1112\u1161\u11AB", "\uD55C"},  // Hangul
      {"\u0958", "\u0915\u093C"},        // excluded from composition
      {"\u09C7\u09BE", "\u09CB"},        // two starters
      {"\u0301a", "\u0301a"},
      {"<\u0338", "\u226E"},
      {"\u0F73\u0F71", "\u0F71\u0F71\u0F72"},            // a starter that decomposes into marks
      {"a\u0EBA\u0323", "a\u0EBA\u0323"},                // U+0EBA was no mark in Unicode 9
      {"\U00011935\U00011930", "\U00011935\U00011930"},  // newer than Unicode 9
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(ComposeCanonically(text), expected) << text;
  }
}

TEST(CanonicalCompositionTest, EveryCodePointAloneAndBetweenMarksEqualsReference) {
  Sha256 digest;
  for (char32_t character = 0; character < 0x110000; ++character) {
    if (character >= 0xD800 && character < 0xE000) {
      continue;
    }
    std::string spelled;
    AppendCharacter(character, &spelled);
    digest.Update(ComposeCanonically(spelled + " a\u0323" + spelled + " a" + spelled + "\u0301"));
  }
  const auto facts = nlohmann::json::parse(ReadWholeFile(TextDataPath("unicode.json")));
  EXPECT_EQ(digest.HexDigest(), facts["composition_sha256"].get<std::string>());
}

// Random sequences of characters that Unicode 9 knows: ICU's own composer must agree.
TEST(CanonicalCompositionTest, EqualsIcuOnOldCharacters) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* icu_composer = icu::Normalizer2::getNFCInstance(error);
  ASSERT_TRUE(U_SUCCESS(error));
  constexpr char32_t kAlphabet[] = {
      'a',   'e',    'o',   ' ',    0x301,  0x302,  0x308,  0x323,   0x327,  0x31B, 0x345, 0x338, 0x34F, 0x344,
      0xE9,  0x1EA5, 0x3B1, 0x1F00, 0x1100, 0x1161, 0x11A8, 0xAC00,  0x915,  0x93C, 0x958, 0x9C7, 0x9BE, 0xF71,
      0xF72, 0xF73,  0x5D1, 0x5BC,  0x5B0,  0x3099, 0x304B, 0x1D15E, 0x2126, 0x6D5, 0x654, 0xDDF, 0xDD9, 0xDCF};
  std::mt19937 random(9);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    const size_t length = 1 + random() % 10;
    for (size_t index = 0; index < length; ++index) {
      AppendCharacter(kAlphabet[random() % std::size(kAlphabet)], &text);
    }
    std::string expected;
    icu_composer->normalize(icu::UnicodeString::fromUTF8(text), error).toUTF8String(expected);
    ASSERT_TRUE(U_SUCCESS(error));
    ASSERT_EQ(ComposeCanonically(text), expected) << "round " << round;
  }
}

}  // namespace
}  // namespace stepcast
