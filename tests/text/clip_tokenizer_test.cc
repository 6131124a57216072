#include "text/tokenizer/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/text/tokenizer_folder.h"

namespace stepcast {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kLayouts[] = "layouts";

const json& Cases() {
  static const json cases = json::parse(ReadWholeFile(TextDataPath("cases.json")));
  return cases;
}

// Writes a layout of cases.json: its own files, and the committed vocabulary in the form that it takes.
void WriteLayout(const json& layout, const TokenizerFolder& folder) {
  const json& files = layout["files"];
  if (files.contains("tokenizer.json")) {
    folder.Write("tokenizer.json", ReadWholeFile(TextDataPath("tokenizer.json")));
  } else {
    folder.WriteVocabulary();
  }
  for (const auto& [name, content] : files.items()) {
    if (!content.is_null()) {
      folder.WriteJson(name, content);
    }
  }
}

class ClipTokenizerLayoutTest : public testing::TestWithParam<const char*> {};

TEST_P(ClipTokenizerLayoutTest, EqualsReferenceIdForId) {
  const json& layout = Cases()[kLayouts][GetParam()];
  const TokenizerFolder folder;
  WriteLayout(layout, folder);
  const auto tokenizer = ClipTokenizer::Load(folder.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto length = layout["max_length"].get<size_t>();
  EXPECT_EQ((*tokenizer)->max_length(), static_cast<int>(length));
  const json& texts = layout["texts"];
  ASSERT_GE(texts.size(), 100u);
  for (size_t index = 0; index < texts.size(); ++index) {
    const auto text = texts[index].get<std::string>();
    auto expected = layout["ids"][index].get<std::vector<int32_t>>();
    expected.resize(length, layout["pad_id"].get<int32_t>());
    const TokenizedPrompt prompt = (*tokenizer)->Encode(text);
    EXPECT_EQ(prompt.ids, expected) << "text " << index << ": " << texts[index].dump(-1, ' ', true);
    EXPECT_EQ(prompt.truncated, layout["truncated"].value(std::to_string(index), ""))
        << "text " << index << ": " << texts[index].dump(-1, ' ', true);
    for (const int32_t id : prompt.ids) {
      EXPECT_LE(id, (*tokenizer)->max_id());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Reference, ClipTokenizerLayoutTest,
                         testing::Values("strings", "end_pad", "bang_pad", "decoder_wins", "added", "added_map",
                                         "split_special", "no_config", "json_only"),
                         [](const auto& test_info) { return std::string(test_info.param); });

TEST(ClipTokenizerTest, FixtureHasEveryLayoutAndThreeHundredTexts) {
  EXPECT_EQ(Cases()[kLayouts].size(), 9u);
  for (const char* name : {"end_pad", "bang_pad", "json_only"}) {
    EXPECT_GE(Cases()[kLayouts][name]["texts"].size(), 300u) << name;
  }
}

class ClipTokenizerTextTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.WriteVocabulary();
    auto tokenizer = ClipTokenizer::Load(folder_.path());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  TokenizerFolder folder_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
};

TEST_F(ClipTokenizerTextTest, InvalidBytesAreReplacementCharacters) {
  EXPECT_EQ(tokenizer_
                ->Encode("a\xff"
                         "b")
                .ids,
            tokenizer_
                ->Encode("a\uFFFD"
                         "b")
                .ids);
  EXPECT_EQ(tokenizer_->Encode("\xe2\x82").ids, tokenizer_->Encode("\uFFFD").ids);
  EXPECT_EQ(tokenizer_->Encode("\xed\xa0\x80").ids, tokenizer_->Encode("\uFFFD\uFFFD\uFFFD").ids);
}

TEST_F(ClipTokenizerTextTest, KeepsTheFirstTokensAndReturnsTheRest) {
  const int kept = tokenizer_->max_length() - 2;
  std::string text;
  for (int word = 0; word < kept; ++word) {
    text += "x ";
  }
  EXPECT_EQ(tokenizer_->Encode(text).truncated, "");
  const TokenizedPrompt prompt = tokenizer_->Encode(text + "cut, Off!");
  EXPECT_EQ(prompt.ids, tokenizer_->Encode(text).ids);
  EXPECT_EQ(prompt.truncated, "cut , off !");
}

// Processor time of this thread, which other processes do not disturb.
double ThreadSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Texts that are quadratic for a careless stage: composer, added tokens, splitter, merges. They are 32 times as long as
// a prompt may be, which takes 20 ms when every stage is linear; one that is quadratic takes 9 s at the very least.
TEST_F(ClipTokenizerTextTest, NoTextIsQuadratic) {
  constexpr size_t kBytes = 256 << 10;
  constexpr double kSeconds = 2;
  const std::map<std::string, std::string> units = {{"one word", "a"},
                                                    {"merging word", "er"},
                                                    {"prose", "a red apple on a table, "},
                                                    {"marks", "\u0301\u0323"},
                                                    {"falling marks", "\u0345\u0327"},
                                                    {"spaces", " \u3000"},
                                                    {"Hangul", "\uD55C"},
                                                    {"emoji", "\U0001F469\u200D\U0001F680"},
                                                    {"open controls", "<|endoftext"},
                                                    {"controls", "<|endoftext|>"},
                                                    {"punctuation", "!?"},
                                                    {"contractions", "'s"}};
  for (const auto& [name, unit] : units) {
    std::string text;
    while (text.size() + unit.size() <= kBytes) {
      text += unit;
    }
    const double start = ThreadSeconds();
    EXPECT_EQ(tokenizer_->Encode(text).ids.size(), 77u);
    const double seconds = ThreadSeconds() - start;
    EXPECT_LT(seconds, kSeconds) << name;
    RecordProperty("ms_" + name, std::to_string(seconds * 1e3));
  }
}

struct BadFolder {
  const char* name;
  std::map<std::string, std::string> files;
  absl::StatusCode code;
  const char* message;
};

std::ostream& operator<<(std::ostream& out, const BadFolder& folder) { return out << folder.name; }

class ClipTokenizerLoadTest : public testing::TestWithParam<BadFolder> {};

TEST_P(ClipTokenizerLoadTest, NamesTheFileAndThePlace) {
  const TokenizerFolder folder;
  folder.WriteVocabulary();
  for (const auto& [name, content] : GetParam().files) {
    folder.Write(name, content);
  }
  const auto tokenizer = ClipTokenizer::Load(folder.path());
  EXPECT_EQ(tokenizer.status().code(), GetParam().code) << tokenizer.status();
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(folder.path() + GetParam().message));
}

const BadFolder kBadFolders[] = {
    {"MergeOfUnknown",
     {{"merges.txt", "#version: 0.2\na b\nzz q\n"}},
     absl::StatusCode::kInvalidArgument,
     "/merges.txt: merge 2: token \"zz\" is not in the vocabulary"},
    {"VocabularyIsNoJson",
     {{"vocab.json", "{\"a\": 0,"}},
     absl::StatusCode::kInvalidArgument,
     "/vocab.json: is not valid JSON in UTF-8: byte 9"},
    {"UnknownTokenMissing",
     {{"special_tokens_map.json", R"({"unk_token": "<unk>"})"}},
     absl::StatusCode::kInvalidArgument,
     ": unk_token \"<unk>\" is not in the vocabulary"},
    {"IdMismatch",
     {{"added_tokens.json", R"({"<sks>": 7})"}},
     absl::StatusCode::kInvalidArgument,
     ": added token \"<sks>\" has the id 7, but"},
    {"SameAfterNormalisation",
     {{"added_tokens.json", R"({"Foo": 2414, "foo": 2415})"}},
     absl::StatusCode::kInvalidArgument,
     ": added tokens \"Foo\" and \"foo\" are the same text"},
    {"TokenizerJsonWins",
     {{"tokenizer.json", "[]"}},
     absl::StatusCode::kInvalidArgument,
     "/tokenizer.json: is no JSON object"},
    {"OtherTokenizer",
     {{"tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})"}},
     absl::StatusCode::kUnimplemented,
     "/tokenizer_config.json: tokenizer_class \"T5Tokenizer\""},
    {"Pointer",
     {{"vocab.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}},
     absl::StatusCode::kInvalidArgument,
     "/vocab.json: is a Git LFS pointer"},
};

INSTANTIATE_TEST_SUITE_P(BadFolders, ClipTokenizerLoadTest, testing::ValuesIn(kBadFolders),
                         [](const auto& test_info) { return test_info.param.name; });

TEST(ClipTokenizerTest, EmptyFolderIsNotFound) {
  const TokenizerFolder folder;
  const auto tokenizer = ClipTokenizer::Load(folder.path());
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("vocab.json"));
}

// A vocabulary without most bytes: what has no token is the unknown token, one for each byte.
TEST(ClipTokenizerTest, BytesWithoutTokenAreUnknown) {
  const TokenizerFolder folder;
  folder.Write("vocab.json", R"({"<|startoftext|>":0,"<|endoftext|>":1,"a":2,"b":3,"b</w>":4,"ab</w>":5,"?":6})");
  folder.Write("merges.txt", "a b</w>\n");
  folder.Write("special_tokens_map.json", R"({"unk_token": "?"})");
  folder.Write("tokenizer_config.json", R"({"model_max_length": 9})");
  const auto tokenizer = ClipTokenizer::Load(folder.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->Encode("ab ba zb \u00e9").ids, (std::vector<int32_t>{0, 5, 3, 6, 6, 4, 6, 6, 1}));
  EXPECT_EQ((*tokenizer)->max_id(), 6);
}

}  // namespace
}  // namespace stepcast
