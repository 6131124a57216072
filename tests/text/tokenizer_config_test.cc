#include "text/vocabulary/tokenizer_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/text/tokenizer_folder.h"

namespace stepcast {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(TokenizerConfigTest, AnEmptyFolderIsClip) {
  const TokenizerFolder folder;
  const auto config = ReadTokenizerConfig(folder.path(), nullptr);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->max_length, 77);
  EXPECT_FALSE(config->split_special_tokens);
  EXPECT_TRUE(config->added.empty());
  EXPECT_EQ(config->tokens.named.size(), 4u);
}

TEST(TokenizerConfigTest, Length) {
  const std::pair<const char*, int> cases[] = {{R"({"model_max_length": 2})", 2},
                                               {R"({"model_max_length": 2048})", 2048},
                                               {R"({"model_max_length": 64.0})", 64},
                                               {R"({"max_len": 33})", 33},
                                               {R"({"model_max_length": 40, "max_len": 33})", 40},
                                               {R"({"model_max_length": null})", 77},
                                               {R"({"model_max_length": 1000000000000000019884624838656})", 77}};
  for (const auto& [text, length] : cases) {
    const TokenizerFolder folder;
    folder.Write("tokenizer_config.json", text);
    const auto config = ReadTokenizerConfig(folder.path(), nullptr);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->max_length, length) << text;
  }
}

TEST(TokenizerConfigTest, PaddingTokenRule) {
  const char* map = R"({"pad_token": "!"})";
  const TokenizerFolder folder;
  folder.Write("special_tokens_map.json", map);
  folder.Write("tokenizer_config.json", R"({"pad_token": "<|endoftext|>"})");
  EXPECT_EQ(ReadTokenizerConfig(folder.path(), nullptr)->tokens.Find("pad_token")->content, "!");
  folder.Write("tokenizer_config.json", R"({"pad_token": "<|endoftext|>", "added_tokens_decoder": {}})");
  EXPECT_EQ(ReadTokenizerConfig(folder.path(), nullptr)->tokens.Find("pad_token")->content, "<|endoftext|>");
}

TEST(TokenizerConfigTest, AddedTokensComeFromTheDecoderOrFromTheOtherFiles) {
  const TokenizerFolder folder;
  const json tokenizer_json = json::parse(R"({"added_tokens": [{"id": 9, "content": "nine", "special": true}]})");
  folder.Write("added_tokens.json", R"({"seven": 7, "<|endoftext|>": 8})");
  auto config = ReadTokenizerConfig(folder.path(), &tokenizer_json);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->added.size(), 3u);
  EXPECT_EQ(config->added[7].content, "seven");
  EXPECT_EQ(config->added[7].normalized, true);
  EXPECT_FALSE(config->added[7].special);
  EXPECT_EQ(config->added[8].normalized, false);
  EXPECT_TRUE(config->added[8].special);
  EXPECT_EQ(config->added[9].content, "nine");
  EXPECT_EQ(config->added[9].normalized, std::nullopt);

  folder.Write("tokenizer_config.json", R"({"added_tokens_decoder": {"5": {"content": "five"}}})");
  config = ReadTokenizerConfig(folder.path(), &tokenizer_json);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->added.size(), 1u);
  EXPECT_EQ(config->added[5].content, "five");
}

TEST(TokenizerConfigTest, RefusesWithFileAndField) {
  const struct {
    const char* file;
    const char* content;
    absl::StatusCode code;
    const char* message;
  } cases[] = {
      {"tokenizer_config.json", "[]", absl::StatusCode::kInvalidArgument, "/tokenizer_config.json: is no JSON object"},
      {"special_tokens_map.json", "{", absl::StatusCode::kInvalidArgument,
       "/special_tokens_map.json: is not valid JSON"},
      {"added_tokens.json", "3", absl::StatusCode::kInvalidArgument, "/added_tokens.json: is no JSON object"},
      {"added_tokens.json", R"({"a": 1.5})", absl::StatusCode::kInvalidArgument,
       "/added_tokens.json: token \"a\" has no integer id"},
      {"added_tokens.json", R"({"": 1})", absl::StatusCode::kInvalidArgument,
       "/added_tokens.json: token \"\": has 0 bytes"},
      {"tokenizer_config.json", R"({"model_max_length": 1})", absl::StatusCode::kInvalidArgument,
       "model_max_length is 1; allowed are whole numbers 2..2048"},
      {"tokenizer_config.json", R"({"model_max_length": 2049})", absl::StatusCode::kInvalidArgument,
       "model_max_length is 2049"},
      {"tokenizer_config.json", R"({"model_max_length": -77})", absl::StatusCode::kInvalidArgument,
       "model_max_length is -77"},
      {"tokenizer_config.json", R"({"model_max_length": 7.5})", absl::StatusCode::kInvalidArgument,
       "model_max_length is 7.5"},
      {"tokenizer_config.json", R"({"model_max_length": "77"})", absl::StatusCode::kInvalidArgument,
       "model_max_length is no number"},
      {"tokenizer_config.json", R"({"split_special_tokens": 1})", absl::StatusCode::kInvalidArgument,
       "split_special_tokens: is neither true nor false"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": []})", absl::StatusCode::kInvalidArgument,
       "added_tokens_decoder: is no JSON object"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})",
       absl::StatusCode::kInvalidArgument, "\"x\" is no token id"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"1": {}}})", absl::StatusCode::kInvalidArgument,
       "added_tokens_decoder[1]: is neither a string"},
      {"tokenizer_config.json", R"({"padding_side": "left"})", absl::StatusCode::kUnimplemented,
       "padding_side is not \"right\""},
      {"tokenizer_config.json", R"({"truncation_side": "left"})", absl::StatusCode::kUnimplemented,
       "truncation_side is not \"right\""},
      {"tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})", absl::StatusCode::kUnimplemented,
       "tokenizer_class \"GPT2Tokenizer\" is not supported"},
  };
  for (const auto& [file, content, code, message] : cases) {
    const TokenizerFolder folder;
    folder.Write(file, content);
    const auto config = ReadTokenizerConfig(folder.path(), nullptr);
    EXPECT_EQ(config.status().code(), code) << content;
    EXPECT_THAT(std::string(config.status().message()), testing::StartsWith(folder.path() + "/" + file));
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(message));
  }
}

TEST(TokenizerConfigTest, RefusesBadAddedTokensOfTokenizerJson) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"added_tokens": {}})", "/tokenizer.json: added_tokens is no list"},
      {R"({"added_tokens": [{"content": "a"}]})", "/tokenizer.json: added_tokens[0]: has no integer \"id\""},
      {R"({"added_tokens": [{"id": 1}]})", "/tokenizer.json: added_tokens[0]: is neither a string"},
  };
  for (const auto& [text, message] : cases) {
    const TokenizerFolder folder;
    const json tokenizer_json = json::parse(text);
    const auto config = ReadTokenizerConfig(folder.path(), &tokenizer_json);
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(message));
  }
}

}  // namespace
}  // namespace stepcast
