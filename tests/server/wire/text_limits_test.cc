#include "server/wire/text_limits.h"

#include <string>

#include "gtest/gtest.h"

namespace stepcast {
namespace {

TEST(FindInvalidUtf8Test, FindsTheFirstBadByte) {
  const struct {
    std::string text;
    size_t offset;
  } rows[] = {
      {"", std::string::npos},
      {"plain", std::string::npos},
      {"gr\xC3\xBC\xC3\x9F", std::string::npos},
      {"\xF0\x9F\x8D\x8E", std::string::npos},  // U+1F34E
      {std::string("a\0b", 3), std::string::npos},
      {"\xFF", 0},
      {"abc\x80", 3},           // a continuation byte alone
      {"\xC3\xBC\xC3", 2},      // cut in a character
      {"\xC0\xAF", 0},          // an overlong slash
      {"x\xED\xA0\x80", 1},     // a surrogate
      {"\xF4\x90\x80\x80", 0},  // above U+10FFFF
  };
  for (const auto& row : rows) EXPECT_EQ(FindInvalidUtf8(row.text), row.offset) << Quoted(row.text);
}

TEST(ShortenedTest, CutsAtCharacters) {
  EXPECT_EQ(Shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(Shortened("abcdefg", 6), "abc...");
  EXPECT_EQ(Shortened("\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC", 6), "\xC3\xBC...");
  EXPECT_EQ(Shortened("abcdefg", 3), "...");
}

TEST(QuotedTest, EscapesWhatWouldConfuse) {
  EXPECT_EQ(Quoted("apple"), "\"apple\"");
  EXPECT_EQ(Quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(Quoted("a\nb\x7F"), "\"a\\x0ab\\x7f\"");
  EXPECT_EQ(Quoted("a\xFFz"), "\"a\\xffz\"");
  EXPECT_EQ(Quoted("\xC3\xBC"), "\"\xC3\xBC\"");
  EXPECT_EQ(Quoted("abcdefghij", 5), "\"ab...\"");
}

TEST(QuotedTest, GivesValidUtf8WhateverComes) {
  for (int first = 0; first < 256; ++first) {
    const std::string text = {static_cast<char>(first), 'x', static_cast<char>(255 - first)};
    EXPECT_EQ(FindInvalidUtf8(Quoted(text)), std::string::npos) << first;
  }
}

}  // namespace
}  // namespace stepcast
