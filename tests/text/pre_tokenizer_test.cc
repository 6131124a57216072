#include "text/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace stepcast {
namespace {

using Words = std::vector<std::string_view>;

TEST(PreTokenizerTest, Table) {
  const struct {
    std::string_view text;
    Words words;
  } cases[] = {
      {"", {}},
      {"   ", {}},
      {"a red apple", {"a", "red", "apple"}},
      {"it's", {"it", "'s"}},
      {"they're we've i'm i'll he'd don't",
       {"they", "'re", "we", "'ve", "i", "'m", "i", "'ll", "he", "'d", "don", "'t"}},
      {"'sup", {"'s", "up"}},
      {"'r", {"'", "r"}},
      {"''s", {"''", "s"}},
      {"!'s", {"!'", "s"}},
      {"a1b22", {"a", "1", "b", "2", "2"}},
      {"\u0663\u0664", {"\u0663", "\u0664"}},
      {"\u00BD\u2167", {"\u00BD", "\u2167"}},
      {"--->!?", {"--->!?"}},
      {"e\u0301", {"e", "\u0301"}},  // a mark is no letter
      {"\u0928\u092E\u0938\u094D\u0924\u0947", {"\u0928\u092E\u0938", "\u094D", "\u0924", "\u0947"}},
      {"\u7EA2\u82F9\u679C", {"\u7EA2\u82F9\u679C"}},
      {"a\U0001F34Eb", {"a", "\U0001F34E", "b"}},
      {"<|endoftext|>", {"<|", "endoftext", "|>"}},
      {"<|startoftext|>!", {"<|", "startoftext", "|>", "!"}},
      {"!<|endoftext|>", {"!<|", "endoftext", "|>"}},
      {"<|endoftext|", {"<|", "endoftext", "|"}},
      {"<|other|>", {"<|", "other", "|>"}},
  };
  for (const auto& [text, expected] : cases) {
    Words words;
    SplitWords(text, &words);
    EXPECT_EQ(words, expected) << text;
  }
}

TEST(PreTokenizerTest, Appends) {
  Words words = {"first"};
  SplitWords("second", &words);
  EXPECT_THAT(words, testing::ElementsAre("first", "second"));
}

}  // namespace
}  // namespace stepcast
