#include "text/vocabulary/vocabulary_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/text/tokenizer_folder.h"

namespace stepcast {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr char kVocabulary[] = R"({"a": 0, "b": 1, "ab": 2})";

TEST(VocabularyFilesTest, ReadsVocabularyAndMerges) {
  const TokenizerFolder folder;
  folder.Write("vocab.json", kVocabulary);
  for (const char* merges : {"#version: 0.2\na b\n", "a b", "a b\r\n\r\n", "#version: 0.2\r\na b\n\n\n"}) {
    folder.Write("merges.txt", merges);
    const auto files = ReadBpeModel(folder.path(), nullptr);
    ASSERT_TRUE(files.ok()) << files.status();
    EXPECT_EQ(files->vocabulary.size(), 3u);
    EXPECT_EQ(files->vocabulary.Find("ab"), 2);
    EXPECT_THAT(files->merges, ElementsAre(Pair("a", "b")));
    EXPECT_EQ(files->merges_place, folder.path() + "/merges.txt");
  }
}

TEST(VocabularyFilesTest, OnlyVersionLinesAreComments) {
  const TokenizerFolder folder;
  folder.Write("vocab.json", kVocabulary);
  folder.Write("merges.txt", "#version: 0.2\n# #</w>\na b\n");
  EXPECT_THAT(ReadBpeModel(folder.path(), nullptr)->merges, ElementsAre(Pair("#", "#</w>"), Pair("a", "b")));
}

TEST(VocabularyFilesTest, ReadsTokenizerJson) {
  for (const char* merges : {R"(["a b"])", R"([["a", "b"]])"}) {
    const json file = {
        {"model", {{"type", "BPE"}, {"vocab", json::parse(kVocabulary)}, {"merges", json::parse(merges)}}}};
    const auto files = ReadBpeModel("d", &file);
    ASSERT_TRUE(files.ok()) << files.status();
    EXPECT_EQ(files->vocabulary.size(), 3u);
    EXPECT_THAT(files->merges, ElementsAre(Pair("a", "b")));
    EXPECT_EQ(files->merges_place, "d/tokenizer.json: model.merges");
  }
}

TEST(VocabularyFilesTest, RefusesWithFileAndPlace) {
  const struct {
    const char* vocabulary;
    std::string merges;
    const char* message;
  } cases[] = {
      {"[]", "", "/vocab.json: is no JSON object from tokens to ids"},
      {"{}", "", "/vocab.json: is no JSON object from tokens to ids"},
      {R"({"a": 0, "a": 1})", "", "/vocab.json: has the key \"a\" twice"},
      {R"({"a": 0, "b": 0})", "", "/vocab.json: tokens \"a\" and \"b\" have the same id 0"},
      {R"({"a": -1})", "", "/vocab.json: token \"a\" has id -1; allowed are 0..1048575"},
      {R"({"a": 1048576})", "", "/vocab.json: token \"a\" has id 1048576"},
      {R"({"a": 18446744073709551615})", "", "/vocab.json: token \"a\" has id -1"},
      {R"({"a": 1e3})", "", "/vocab.json: token \"a\" has an id that is no integer"},
      {R"({"a": 99999999999999999999})", "", "/vocab.json: token \"a\" has an id that is no integer"},
      {R"({"a": "0"})", "", "/vocab.json: token \"a\" has an id that is no integer"},
      {R"({"": 0})", "", "/vocab.json: token \"\" has 0 bytes"},
      {"{\"\xff\": 0}", "", "/vocab.json: is not valid JSON in UTF-8: byte 3"},
      {kVocabulary, "a b\nab\n", "/merges.txt: line 2: \"ab\" is no pair of tokens"},
      {kVocabulary, "#version: 0.2\na b c\n", "/merges.txt: line 2: \"a b c\" is no pair"},
      {kVocabulary, "a b\n\na b\n", "/merges.txt: line 2: \"\" is no pair"},
      {kVocabulary, " b\n", "/merges.txt: line 1: \" b\" is no pair"},
      {kVocabulary, "a \n", "/merges.txt: line 1: \"a \" is no pair"},
      {kVocabulary, "a \xff\n", "/merges.txt: is not UTF-8"},
      {kVocabulary, "version https://git-lfs.github.com/spec/v1\n", "/merges.txt: is a Git LFS pointer"},
  };
  for (const auto& [vocabulary, merges, message] : cases) {
    const TokenizerFolder folder;
    folder.Write("vocab.json", vocabulary);
    folder.Write("merges.txt", merges);
    const auto files = ReadBpeModel(folder.path(), nullptr);
    EXPECT_EQ(files.status().code(), absl::StatusCode::kInvalidArgument) << vocabulary << merges;
    EXPECT_THAT(std::string(files.status().message()), HasSubstr(folder.path() + message));
  }
}

TEST(VocabularyFilesTest, RefusesOtherTokenizerJson) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "has no model with vocab and merges"},
      {R"({"model": {"vocab": {}}})", "has no model with vocab and merges"},
      {R"({"model": {"type": "Unigram", "vocab": [], "merges": []}})", "model is not a BPE"},
      {R"({"model": {"end_of_word_suffix": "", "vocab": {"a": 0}, "merges": []}})", "model is not a BPE"},
      {R"({"model": {"vocab": [["a", 0]], "merges": []}})", "model.vocab: is no JSON object"},
      {R"({"model": {"vocab": {"a": 0}, "merges": {}}})", "model.merges: is no list"},
      {R"({"model": {"vocab": {"a": 0}, "merges": ["a a", 5]}})",
       "model.merges: merge 2 is neither a string nor a pair"},
      {R"({"model": {"vocab": {"a": 0}, "merges": [["a"]]}})", "model.merges: merge 1 is neither"},
      {R"({"model": {"vocab": {"a": 0}, "merges": ["aa"]}})", "model.merges: merge 1: \"aa\" is no pair"},
  };
  for (const auto& [text, message] : cases) {
    const json file = json::parse(text);
    const auto files = ReadBpeModel("d", &file);
    EXPECT_FALSE(files.ok());
    EXPECT_THAT(std::string(files.status().message()), HasSubstr(std::string("d/tokenizer.json: ") + message));
  }
}

TEST(VocabularyFilesTest, TokenizerJsonIsAnObject) {
  const TokenizerFolder folder;
  EXPECT_EQ(ReadTokenizerJson(folder.path()).status().code(), absl::StatusCode::kNotFound);
  folder.Write("tokenizer.json", "[]");
  EXPECT_EQ(ReadTokenizerJson(folder.path()).status().message(), folder.path() + "/tokenizer.json: is no JSON object");
  folder.Write("tokenizer.json", "{}");
  EXPECT_TRUE(ReadTokenizerJson(folder.path()).ok());
}

}  // namespace
}  // namespace stepcast
