#include "text/vocabulary/token_declaration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

using nlohmann::json;

TEST(TokenDeclarationTest, AStringIsItsText) {
  const auto token = ParseTokenDeclaration(json("<s>"), "f: x");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->content, "<s>");
  EXPECT_TRUE(token->is_string);
  EXPECT_EQ(token->normalized, std::nullopt);
}

TEST(TokenDeclarationTest, AnObjectHasFlags) {
  const auto token = ParseTokenDeclaration(
      json::parse(
          R"({"__type": "AddedToken", "content": "<s>", "lstrip": true, "normalized": false, "special": true})"),
      "f: x");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_FALSE(token->is_string);
  EXPECT_EQ(token->lstrip, true);
  EXPECT_EQ(token->rstrip, std::nullopt);
  EXPECT_EQ(token->single_word, std::nullopt);
  EXPECT_EQ(token->normalized, false);
  EXPECT_TRUE(token->special);
}

TEST(TokenDeclarationTest, RefusesWithThePlace) {
  const std::pair<json, const char*> cases[] = {
      {json(5), "f: x: is neither a string nor an object with a string \"content\""},
      {json::object(), "f: x: is neither"},
      {json{{"content", 1}}, "f: x: is neither"},
      {json(""), "f: x: has 0 bytes; allowed are 1..1024"},
      {json(std::string(Vocabulary::kMaxTokenBytes + 1, 'x')), "f: x: has 1025 bytes"},
      {json{{"content", "a"}, {"rstrip", 1}}, "f: x.rstrip: is neither true nor false"},
      {json{{"content", "a"}, {"special", "yes"}}, "f: x.special: is neither true nor false"},
  };
  for (const auto& [value, message] : cases) {
    const auto token = ParseTokenDeclaration(value, "f: x");
    EXPECT_EQ(token.status().code(), absl::StatusCode::kInvalidArgument) << value;
    EXPECT_THAT(std::string(token.status().message()), testing::HasSubstr(message));
  }
}

TEST(TokenDeclarationTest, FlagsMayBeMissingOrNull) {
  std::optional<bool> flag = true;
  EXPECT_TRUE(ReadFlag(json::object(), "x", "f", &flag).ok());
  EXPECT_TRUE(ReadFlag(json{{"x", nullptr}}, "x", "f", &flag).ok());
  EXPECT_EQ(flag, true);
  EXPECT_TRUE(ReadFlag(json{{"x", false}}, "x", "f", &flag).ok());
  EXPECT_EQ(flag, false);
}

}  // namespace
}  // namespace stepcast
