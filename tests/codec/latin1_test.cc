#include "codec/files/latin1.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(Latin1Test, Table) {
  const struct {
    std::string utf8;
    Latin1Result result;
    std::string latin1;
  } cases[] = {
      {"", Latin1Result::kLatin1, ""},
      {"plain\n", Latin1Result::kLatin1, "plain\n"},
      {"\u0080\u00E9\u00FF", Latin1Result::kLatin1, "\x80\xE9\xFF"},
      {"\u0100", Latin1Result::kUnicode, ""},
      {"a\u20ACb\U0001F34E\U0010FFFF", Latin1Result::kUnicode, ""},
      {std::string("a\0", 2), Latin1Result::kNotText, ""},
      {"\x80", Latin1Result::kNotText, ""},
      {"\xC1\xBF", Latin1Result::kNotText, ""},          // overlong
      {"\xE0\x9F\xBF", Latin1Result::kNotText, ""},      // overlong
      {"\xF0\x8F\xBF\xBF", Latin1Result::kNotText, ""},  // overlong
      {"\xED\xA0\x80", Latin1Result::kNotText, ""},      // surrogate
      {"\xF4\x90\x80\x80", Latin1Result::kNotText, ""},  // beyond U+10FFFF
      {"\xF5\x80\x80\x80", Latin1Result::kNotText, ""},
      {"\xC3", Latin1Result::kNotText, ""},  // cut short
      {"\xE2\x82", Latin1Result::kNotText, ""},
      {"\xC3z", Latin1Result::kNotText, ""},
      {"\u0100\xFF", Latin1Result::kNotText, ""},
  };
  for (const auto& [utf8, result, latin1] : cases) {
    std::string converted;
    EXPECT_EQ(ToLatin1(utf8, &converted), result) << utf8;
    if (result == Latin1Result::kLatin1) {
      EXPECT_EQ(converted, latin1);
    }
  }
}

}  // namespace
}  // namespace stepcast
