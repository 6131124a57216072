#include "text/vocabulary/byte_alphabet.h"

#include <gtest/gtest.h>

#include <set>

namespace stepcast {
namespace {

TEST(ByteAlphabetTest, Characters) {
  const std::pair<int, const char*> cases[] = {{'!', "!"},       {'~', "~"},       {0xA1, "\u00A1"}, {0xAC, "\u00AC"},
                                               {0xAE, "\u00AE"}, {0xFF, "\u00FF"}, {0, "\u0100"},    {' ', "\u0120"},
                                               {0x7F, "\u0121"}, {0xA0, "\u0142"}, {0xAD, "\u0143"}};
  for (const auto& [byte, character] : cases) {
    EXPECT_EQ(CharacterOfByte(static_cast<uint8_t>(byte)), character) << byte;
  }
}

TEST(ByteAlphabetTest, EveryByteComesBack) {
  std::set<std::string> seen;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string& character = CharacterOfByte(static_cast<uint8_t>(byte));
    EXPECT_TRUE(seen.insert(character).second) << byte;
    EXPECT_EQ(BytesOfToken(character), std::string(1, static_cast<char>(byte)));
  }
}

TEST(ByteAlphabetTest, OtherCharactersStandForNoByte) {
  EXPECT_EQ(BytesOfToken("a\u0144"), std::nullopt);
  EXPECT_EQ(BytesOfToken(" "), std::nullopt);
  EXPECT_EQ(BytesOfToken("\u00AD"), std::nullopt);
  EXPECT_EQ(BytesOfToken("\u732B"), std::nullopt);
  EXPECT_EQ(BytesOfToken(""), "");
  EXPECT_EQ(BytesOfToken("a</w>"), "a</w>");
}

}  // namespace
}  // namespace stepcast
