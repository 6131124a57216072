#include "text/vocabulary/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/text/tokenizer_folder.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

std::string Repeat(std::string_view part, int count) {
  std::string text;
  for (int index = 0; index < count; ++index) {
    text += part;
  }
  return text;
}

TEST(JsonFileTest, ParsesEveryType) {
  const auto value = ParseJson(R"({"a": [1, -2, 3.5, true, null, "\u00e9", {}], "b": {"c": []}})", "name");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, nlohmann::json::parse(R"({"a": [1, -2, 3.5, true, null, "é", {}], "b": {"c": []}})"));
  EXPECT_TRUE((*value)["a"][0].is_number_integer());
  EXPECT_TRUE((*value)["a"][2].is_number_float());
}

TEST(JsonFileTest, RefusesWithNameAndPlace) {
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"", "f.json: is not valid JSON in UTF-8: byte 1"},
      {"{\"a\": 1", "f.json: is not valid JSON in UTF-8: byte 8"},
      {"[1] x", "byte 5"},
      {"[1,]", "byte 4"},
      {"\"\xff\"", "byte 2"},
      {"\"\\ud800\"", "not valid JSON"},
      {"[1e999]", "not valid JSON"},
      {"{\"a\": 1, \"b\": 2, \"a\": 3}", "f.json: has the key \"a\" twice in one object"},
      {Repeat("[", kMaxJsonDepth + 1) + Repeat("]", kMaxJsonDepth + 1), "f.json: is nested deeper than 32 levels"},
      {Repeat("{\"a\":", 100000), "f.json: is nested deeper than 32 levels"},
      {"[" + Repeat("0,", kMaxJsonValues) + "0]", "f.json: has more than 2000000 values"},
  };
  for (const auto& [text, message] : cases) {
    const auto value = ParseJson(text, "f.json");
    EXPECT_EQ(value.status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 40);
    EXPECT_THAT(std::string(value.status().message()), HasSubstr(message));
  }
}

TEST(JsonFileTest, AcceptsWhatIsAtTheLimits) {
  EXPECT_TRUE(ParseJson(Repeat("[", kMaxJsonDepth) + Repeat("]", kMaxJsonDepth), "f").ok());
  EXPECT_TRUE(ParseJson("[" + Repeat("0,", kMaxJsonValues - 2) + "0]", "f").ok());
}

TEST(JsonFileTest, ReadsFilesUpToTheLimit) {
  const TokenizerFolder folder;
  folder.Write("f.json", "[1]");
  const std::string path = folder.path() + "/f.json";
  EXPECT_EQ(*ReadTextFile(path, 3), "[1]");
  EXPECT_EQ(*ReadJsonFile(path, 3), nlohmann::json({1}));
  const auto large = ReadTextFile(path, 2);
  EXPECT_EQ(large.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(large.status().message(), path + ": has 3 bytes; allowed are 2");
}

TEST(JsonFileTest, RefusesWhatIsNoFile) {
  const TokenizerFolder folder;
  const auto missing = ReadTextFile(folder.path() + "/none", 10);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.status().message(), folder.path() + "/none: no such file");
  EXPECT_EQ(ReadTextFile(folder.path() + "/none/deeper", 10).status().code(), absl::StatusCode::kNotFound);
  const auto directory = ReadTextFile(folder.path(), 10);
  EXPECT_EQ(directory.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(directory.status().message()), HasSubstr("is not a readable regular file"));
}

TEST(JsonFileTest, ALinkToNothingIsNoMissingFile) {
  const TokenizerFolder folder;
  std::filesystem::create_symlink("../blobs/0", folder.path() + "/f.json");
  const auto dangling = ReadTextFile(folder.path() + "/f.json", 10);
  EXPECT_EQ(dangling.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(dangling.status().message(), folder.path() + "/f.json: is a link to ../blobs/0, which is not there");
}

TEST(JsonFileTest, KnowsGitLfsPointers) {
  const TokenizerFolder folder;
  folder.Write("f.json", "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 862328\n");
  const auto pointer = ReadJsonFile(folder.path() + "/f.json", 1000);
  EXPECT_EQ(pointer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(pointer.status().message()), HasSubstr("/f.json: is a Git LFS pointer"));
}

}  // namespace
}  // namespace stepcast
