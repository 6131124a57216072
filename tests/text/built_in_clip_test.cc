#include "text/vocabulary/built_in_clip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/text/tokenizer_folder.h"
#include "text/tokenizer/clip_tokenizer.h"
#include "text/unicode/unicode.h"

namespace stepcast {
namespace {

using nlohmann::json;

const json& Cases() {
  static const json cases = json::parse(ReadWholeFile(TextDataPath("clip_cases.json")));
  return cases;
}

std::unique_ptr<const ClipTokenizer> Load(const char* name) {
  auto tokenizer = ClipTokenizer::Load(name);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

// Every text of the fixture has the reference's ids; `other` has those that differ from the common ones.
void ExpectReference(const char* name, int32_t pad, const json& other) {
  const auto tokenizer = Load(name);
  ASSERT_NE(tokenizer, nullptr);
  const json& texts = Cases()["texts"];
  ASSERT_GE(texts.size(), 1000u);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string key = std::to_string(i);
    auto expected = (other.contains(key) ? other[key] : Cases()["ids"][i]).get<std::vector<int32_t>>();
    expected.resize(77, pad);
    EXPECT_EQ(tokenizer->Encode(texts[i].get<std::string>()).ids, expected) << "text " << i << ": " << texts[i];
  }
}

TEST(BuiltInClip, HasTheTokensAndMergesOfClip) {
  const auto files = ReadBuiltInClip();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->vocabulary.size(), 49408u);
  EXPECT_EQ(files->merges.size(), 48894u);
  EXPECT_EQ(files->vocabulary.Find("!"), 0);
  EXPECT_EQ(files->vocabulary.Find("a</w>"), 320);
  EXPECT_EQ(files->vocabulary.Find("cat</w>"), 2368);
  EXPECT_EQ(files->vocabulary.Find("<|startoftext|>"), 49406);
  EXPECT_EQ(files->vocabulary.Find("<|endoftext|>"), 49407);
}

TEST(BuiltInClip, EqualsTheReferenceIdForId) { ExpectReference(kBuiltInClip, 49407, json::object()); }

TEST(BuiltInClip, EqualsTheReferenceWithPaddingBang) {
  ExpectReference(kBuiltInOpenClip, 0, Cases()["ids_with_padding_bang"]);
}

TEST(BuiltInClip, NoOtherNameIsBuiltIn) {
  EXPECT_FALSE(IsBuiltInTokenizer("built-in:"));
  EXPECT_EQ(ClipTokenizer::Load("built-in:other").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace stepcast
