#include "text/tokenizer/token_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// a=0, <s>=1, <e>=2.
Vocabulary SmallVocabulary() {
  Vocabulary vocabulary;
  EXPECT_TRUE(vocabulary.Add("a", 0).ok());
  EXPECT_TRUE(vocabulary.Add("<s>", 1).ok());
  EXPECT_TRUE(vocabulary.Add("<e>", 2).ok());
  return vocabulary;
}

TokenDeclaration Text(const char* content) { return {.content = content, .is_string = true}; }

TokenDeclaration Object(const char* content, std::optional<bool> normalized = std::nullopt) {
  return {.content = content, .normalized = normalized};
}

// "content=id" with flags.
std::vector<std::string> Register(const TokenizerConfig& config) {
  const auto tokens = RegisterTokens(config, SmallVocabulary());
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  std::vector<std::string> shown;
  for (const AddedToken& token : *tokens) {
    shown.push_back(absl::StrCat(token.content, "=", token.id, token.normalized ? " normalized" : "",
                                 token.special ? " special" : "", token.lstrip ? " lstrip" : ""));
  }
  return shown;
}

TEST(TokenRegistryTest, StringsAreSpecialAndNotNormalized) {
  EXPECT_THAT(
      Register({.tokens = {.named = {{"bos_token", Text("<s>")}, {"pad_token", Text("<p>")}}, .extra = {Text("x")}}}),
      ElementsAre("<s>=1 special", "<p>=3 special", "x=4 special"));
}

TEST(TokenRegistryTest, FlagsDefaultBySpecial) {
  EXPECT_THAT(Register({.tokens = {.named = {{"bos_token", Object("<s>")}}, .extra = {Object("x")}}}),
              ElementsAre("<s>=1 special", "x=3 normalized"));
}

// Why "<|ENDOFTEXT|>" is a control token in Stable Diffusion 2, but not in 1, where the padding token repeats its text.
TEST(TokenRegistryTest, TheLaterDeclarationSetsTheFlags) {
  EXPECT_THAT(
      Register({.tokens = {.named = {{"eos_token", Object("<e>", true)}, {"pad_token", Text("<e>")}}, .extra = {}}}),
      ElementsAre("<e>=2 special"));
  EXPECT_THAT(
      Register({.tokens = {.named = {{"eos_token", Object("<e>", true)}, {"pad_token", Text("a")}}, .extra = {}}}),
      ElementsAre("<e>=2 normalized special", "a=0 special"));
}

TEST(TokenRegistryTest, AddedTokensComeFirstAndKeepTheirFlags) {
  TokenizerConfig config;
  config.tokens.named = {{"bos_token", Text("<s>")}};
  config.added[3] = {.content = "new", .lstrip = true};
  config.added[1] = Object("<s>", true);
  EXPECT_THAT(Register(config), ElementsAre("<s>=1 normalized special", "new=3 normalized lstrip"));
}

TEST(TokenRegistryTest, RefusesIdsThatCannotBe) {
  TokenizerConfig mismatch;
  mismatch.added[7] = Object("new");
  EXPECT_THAT(std::string(RegisterTokens(mismatch, SmallVocabulary()).status().message()),
              HasSubstr("added token \"new\" has the id 7, but the one it must have is 3"));

  Vocabulary gaps;
  ASSERT_TRUE(gaps.Add("a", 0).ok());
  ASSERT_TRUE(gaps.Add("b", 2).ok());
  TokenizerConfig config;
  config.tokens.named = {{"bos_token", Text("<s>")}};
  EXPECT_THAT(std::string(RegisterTokens(config, gaps).status().message()),
              HasSubstr("added token \"<s>\" would get the id 2, which is taken"));
}

}  // namespace
}  // namespace stepcast
