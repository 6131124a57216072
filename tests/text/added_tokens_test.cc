#include "text/tokenizer/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast {
namespace {

// "text" for text, "[id:text]" for a token, joined with "|".
std::string Show(const std::vector<AddedTokenMatcher::Piece>& pieces) {
  std::vector<std::string> shown;
  for (const auto& piece : pieces) {
    shown.push_back(piece.id < 0 ? std::string(piece.text)
                                 : absl::StrCat("[", piece.id, ":", std::string(piece.text), "]"));
  }
  return absl::StrJoin(shown, "|");
}

std::string SplitBy(const std::vector<AddedToken>& tokens, std::string_view text, bool normalized = false,
                    bool split_special = false) {
  const auto matcher = AddedTokenMatcher::Create(tokens, normalized, split_special);
  EXPECT_TRUE(matcher.ok()) << matcher.status();
  return Show(matcher->Split(text));
}

TEST(AddedTokensTest, LeftmostThenLongest) {
  const std::vector<AddedToken> tokens = {{.content = "<a>", .id = 1},
                                          {.content = "<a>b", .id = 2},
                                          {.content = "b", .id = 3},
                                          {.content = "<a>bcd", .id = 4},
                                          {.content = "\u00E9", .id = 5}};
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"<a>", "[1:<a>]"},
      {"x<a>y", "x|[1:<a>]|y"},
      {"<a>b", "[2:<a>b]"},
      {"<a>bc", "[2:<a>b]|c"},
      {"<a>bcd", "[4:<a>bcd]"},
      {"<a<a>", "<a|[1:<a>]"},
      {"bb<a", "[3:b]|[3:b]|<a"},
      {"\u00E9\u00E8", "[5:\u00E9]|\u00E8"},
      {"<A>", "<A>"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(SplitBy(tokens, text), expected) << text;
  }
}

TEST(AddedTokensTest, StripsWhiteSpace) {
  const std::vector<AddedToken> tokens = {{.content = "<l>", .id = 1, .lstrip = true},
                                          {.content = "<r>", .id = 2, .rstrip = true}};
  const std::pair<const char*, const char*> cases[] = {
      {"a <l> b", "a|[1: <l>]| b"},       {"a <r> b", "a |[2:<r> ]|b"},      {"\u3000\u00A0<l>", "[1:\u3000\u00A0<l>]"},
      {"<r>\t\u2003", "[2:<r>\t\u2003]"}, {"<r>  <l>", "[2:<r>  ]|[1:<l>]"},  // the earlier match has the spaces
      {" <l> <l>", "[1: <l>]|[1: <l>]"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(SplitBy(tokens, text), expected) << text;
  }
}

TEST(AddedTokensTest, SingleWordsTouchNoWordCharacter) {
  const std::vector<AddedToken> tokens = {{.content = "cat", .id = 1, .single_word = true}};
  const std::pair<const char*, const char*> cases[] = {
      {"cat", "[1:cat]"},
      {"a cat!", "a |[1:cat]|!"},
      {"cats", "cats"},
      {"_cat", "_cat"},
      {"1cat", "1cat"},
      {"\u00E9cat", "\u00E9cat"},
      {"cat\u0301", "cat\u0301"},
      {"\u2014cat\u2014", "\u2014|[1:cat]|\u2014"},
      {"catcat cat", "catcat |[1:cat]"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(SplitBy(tokens, text), expected) << text;
  }
}

TEST(AddedTokensTest, NormalizedTokensAreLookedForInTheirNormalizedForm) {
  const std::vector<AddedToken> tokens = {{.content = "My \u0130", .id = 1, .normalized = true},
                                          {.content = "Raw", .id = 2}};
  EXPECT_EQ(SplitBy(tokens, "my i\u0307 raw Raw", true), "[1:my i\u0307]| raw Raw");
  EXPECT_EQ(SplitBy(tokens, "My \u0130 Raw", false), "My \u0130 |[2:Raw]");
}

TEST(AddedTokensTest, SpecialTokensCanBeSpelledOut) {
  const std::vector<AddedToken> tokens = {{.content = "<s>", .id = 1, .special = true}, {.content = "<t>", .id = 2}};
  EXPECT_EQ(SplitBy(tokens, "a<s>b<t>", false, true), "a<s>b|[2:<t>]");
}

TEST(AddedTokensTest, RefusesTwoTokensOfOneText) {
  const auto matcher = AddedTokenMatcher::Create(
      {{.content = "Foo", .id = 1, .normalized = true}, {.content = "FOO", .id = 2, .normalized = true}}, true, false);
  EXPECT_EQ(matcher.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(matcher.status().message()), testing::HasSubstr("are the same text"));
}

}  // namespace
}  // namespace stepcast
