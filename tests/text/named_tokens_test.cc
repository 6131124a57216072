#include "text/vocabulary/named_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr bool kConfig = false;
constexpr bool kMap = true;

std::vector<std::string> Names(const NamedTokens& tokens) {
  std::vector<std::string> names;
  for (const auto& [name, token] : tokens.named) {
    names.push_back(name + "=" + token.content);
  }
  return names;
}

TEST(NamedTokensTest, DefaultsAreClips) {
  NamedTokenReader reader("d");
  const auto tokens = reader.Finish();
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_THAT(Names(*tokens), ElementsAre("bos_token=<|startoftext|>", "eos_token=<|endoftext|>",
                                          "unk_token=<|endoftext|>", "pad_token=<|endoftext|>"));
  EXPECT_TRUE(tokens->Find("pad_token")->is_string);
  EXPECT_EQ(tokens->Find("cls_token"), nullptr);
}

TEST(NamedTokensTest, TheMapOverridesTheConfig) {
  NamedTokenReader reader("d");
  ASSERT_TRUE(reader
                  .Read(json::parse(R"({"pad_token": "<p>", "eos_token": {"content": "<e>"}, "image_token": "<img>",
                                          "add_bos_token": true, "cls_token": null, "mask_token": "<m>"})"),
                        "tokenizer_config.json", kConfig)
                  .ok());
  ASSERT_TRUE(reader
                  .Read(json::parse(R"({"pad_token": "!", "bos_token": {"content": "<b>"}, "mask_token": null})"),
                        "special_tokens_map.json", kMap)
                  .ok());
  const auto tokens = reader.Finish();
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_THAT(Names(*tokens), ElementsAre("bos_token=<b>", "eos_token=<e>", "unk_token=<|endoftext|>", "pad_token=!",
                                          "image_token=<img>"));
  EXPECT_TRUE(tokens->Find("bos_token")->special);
  EXPECT_FALSE(tokens->Find("eos_token")->special);
}

TEST(NamedTokensTest, ExtraTokensByEitherName) {
  const auto contents = [](const json& config, const json& map) {
    NamedTokenReader reader("d");
    EXPECT_TRUE(reader.Read(config, "c", kConfig).ok());
    EXPECT_TRUE(reader.Read(map, "m", kMap).ok());
    std::vector<std::string> result;
    const auto tokens = reader.Finish();
    for (const TokenDeclaration& token : tokens->extra) {
      result.push_back(token.content);
    }
    return result;
  };
  const json old_name = json::parse(R"({"additional_special_tokens": ["a", {"content": "b"}, "a"]})");
  const json new_name = json::parse(R"({"extra_special_tokens": ["b", "c"]})");
  EXPECT_THAT(contents(old_name, json::object()), ElementsAre("a", "b"));
  EXPECT_THAT(contents(json::object(), old_name), ElementsAre("a", "b"));
  EXPECT_THAT(contents(new_name, old_name), ElementsAre("b", "c"));
  EXPECT_THAT(contents(old_name, new_name), ElementsAre("a", "b", "c"));
}

TEST(NamedTokensTest, ExtraTokensMayHaveNames) {
  NamedTokenReader reader("d");
  ASSERT_TRUE(reader.Read(json::parse(R"({"extra_special_tokens": {"boi_token": "<boi>"}})"), "c", kConfig).ok());
  const auto tokens = reader.Finish();
  ASSERT_TRUE(tokens.ok());
  ASSERT_NE(tokens->Find("boi_token"), nullptr);
  EXPECT_EQ(tokens->Find("boi_token")->content, "<boi>");
}

TEST(NamedTokensTest, RefusesWithFileAndField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"pad_token": 3})", "d/c: pad_token: is neither a string"},
      {R"({"eos_token": {"content": "a", "lstrip": 2}})", "d/c: eos_token.lstrip: is neither true nor false"},
      {R"({"extra_special_tokens": "x"})", "d/c: extra_special_tokens: is neither a list nor an object"},
      {R"({"extra_special_tokens": ["x", 1]})", "d/c: extra_special_tokens[1]: is neither a string"},
      {R"({"extra_special_tokens": {"a_token": []}})", "d/c: extra_special_tokens.a_token: is neither a string"},
  };
  for (const auto& [text, message] : cases) {
    NamedTokenReader reader("d");
    const absl::Status status = reader.Read(json::parse(text), "c", kConfig);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
}

TEST(NamedTokensTest, APromptNeedsFourTokens) {
  for (const std::string name : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    NamedTokenReader reader("d");
    ASSERT_TRUE(reader.Read(json{{name, nullptr}}, "c", kConfig).ok());
    EXPECT_EQ(reader.Finish().status().message(), "d/c: " + name + ": is null, but every prompt needs it");
  }
}

}  // namespace
}  // namespace stepcast
