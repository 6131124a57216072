#include "text/tokenizer/normalizer.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(NormalizerTest, Table) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"A Red Apple", "a red apple"},
      {" \t\r\n a \u3000\u00A0 b ", " a b "},
      {"a\u200Bb", "a\u200Bb"},    // the zero width space is none
      {"a\x1c\x1f", "a\x1c\x1f"},  // nor are the separators of ASCII
      {"E\u0301", "\u00E9"},
      {"\u0130stanbul", "i\u0307stanbul"},
      {"I\u0307", "i\u0307"},                                    // composes to U+0130 first
      {"\u039F\u0394\u039F\u03A3", "\u03BF\u03B4\u03BF\u03C3"},  // no final sigma
      {"\u1E9E\u00DF", "\u00DF\u00DF"},
      {"\uFF21\uFF22", "\uFF41\uFF42"},  // full width stays full width
      {"\u201CIt\u2019s\u201D", "\u201Cit\u2019s\u201D"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(NormalizeText(text), expected) << text;
  }
}

}  // namespace
}  // namespace stepcast
