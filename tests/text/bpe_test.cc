#include "text/vocabulary/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "text/vocabulary/byte_alphabet.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int32_t kUnknown = 0;

// The byte characters of `letters`, alone and with the suffix, then one token for each merge.
Vocabulary MakeVocabulary(std::string_view letters, const MergeList& merges) {
  Vocabulary vocabulary;
  int64_t id = kUnknown;
  EXPECT_TRUE(vocabulary.Add("<unknown>", id++).ok());
  for (const char letter : letters) {
    const std::string& character = CharacterOfByte(static_cast<uint8_t>(letter));
    EXPECT_TRUE(vocabulary.Add(character, id++).ok());
    EXPECT_TRUE(vocabulary.Add(absl::StrCat(character, kEndOfWord), id++).ok());
  }
  for (const auto& [left, right] : merges) {
    if (!vocabulary.Find(left + right).has_value()) {
      EXPECT_TRUE(vocabulary.Add(left + right, id++).ok());
    }
  }
  return vocabulary;
}

std::vector<std::string> Tokens(std::string_view word, std::string_view letters, const MergeList& merges) {
  const Vocabulary vocabulary = MakeVocabulary(letters, merges);
  const auto bpe = Bpe::Create(vocabulary, merges, kUnknown);
  EXPECT_TRUE(bpe.ok()) << bpe.status();
  Bpe::Scratch scratch;
  std::vector<int32_t> ids;
  bpe->EncodeWord(word, &scratch, &ids);
  std::vector<std::string> tokens;
  for (const int32_t id : ids) {
    tokens.emplace_back(vocabulary.TokenOf(id));
  }
  return tokens;
}

TEST(BpeTest, NoMerges) {
  EXPECT_THAT(Tokens("", "ab", {}), ElementsAre());
  EXPECT_THAT(Tokens("a", "ab", {}), ElementsAre("a</w>"));
  EXPECT_THAT(Tokens("aba", "ab", {}), ElementsAre("a", "b", "a</w>"));
}

TEST(BpeTest, BytesWithoutTokenAreUnknownOneByOne) {
  EXPECT_THAT(Tokens("axxb", "ab", {}), ElementsAre("a", "<unknown>", "<unknown>", "b</w>"));
}

TEST(BpeTest, LowerRankMergesFirst) {
  EXPECT_THAT(Tokens("abc", "abc", {{"b", "c</w>"}, {"a", "b"}}), ElementsAre("a", "bc</w>"));
  EXPECT_THAT(Tokens("abc", "abc", {{"a", "b"}, {"b", "c</w>"}}), ElementsAre("ab", "c</w>"));
}

TEST(BpeTest, EqualRanksMergeFromTheLeft) {
  EXPECT_THAT(Tokens("aaaab", "ab", {{"a", "a"}}), ElementsAre("aa", "aa", "b</w>"));
  EXPECT_THAT(Tokens("aaab", "ab", {{"a", "a"}}), ElementsAre("aa", "a", "b</w>"));
  EXPECT_THAT(Tokens("aaaa", "a", {{"a", "a"}}), ElementsAre("aa", "a", "a</w>"));
}

TEST(BpeTest, MergesMerge) {
  EXPECT_THAT(Tokens("abcabc", "abc", {{"a", "b"}, {"ab", "c"}, {"ab", "c</w>"}, {"abc", "abc</w>"}}),
              ElementsAre("abcabc</w>"));
}

TEST(BpeTest, TheLaterOfTwoEqualPairsCounts) {
  EXPECT_THAT(Tokens("abc", "abc", {{"a", "b"}, {"b", "c</w>"}, {"a", "b"}}), ElementsAre("a", "bc</w>"));
}

TEST(BpeTest, NamesTheMergeOfAnUnknownToken) {
  const Vocabulary vocabulary = MakeVocabulary("ab", {{"a", "b"}});
  const std::pair<MergeList, const char*> cases[] = {{{{"a", "b"}, {"c", "b"}}, "merge 2: token \"c\""},
                                                     {{{"a", "c"}}, "merge 1: token \"c\""},
                                                     {{{"b", "a"}}, "merge 1: token \"ba\""}};
  for (const auto& [merges, message] : cases) {
    const auto bpe = Bpe::Create(vocabulary, merges, kUnknown);
    EXPECT_EQ(bpe.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(bpe.status().message()), HasSubstr(message));
  }
}

// The definition of byte-pair encoding: of all adjacent pairs that may merge, the leftmost of the lowest rank does.
std::vector<std::string> EncodeByDefinition(std::string_view word, const MergeList& merges) {
  std::vector<std::string> symbols;
  for (const char letter : word) {
    symbols.emplace_back(1, letter);
  }
  symbols.back() += kEndOfWord;
  while (true) {
    size_t best_rank = merges.size();
    size_t best_position = 0;
    for (size_t position = 0; position + 1 < symbols.size(); ++position) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank].first == symbols[position] && merges[rank].second == symbols[position + 1]) {
          best_rank = rank;
          best_position = position;
        }
      }
    }
    if (best_rank == merges.size()) {
      return symbols;
    }
    symbols[best_position] += symbols[best_position + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best_position) + 1);
  }
}

TEST(BpeTest, EqualsTheDefinitionOnRandomMergesAndWords) {
  std::mt19937 random(17);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> tokens = {"a", "b", "c", "a</w>", "b</w>", "c</w>"};
    MergeList merges;
    for (int rank = 0; rank < 25; ++rank) {
      const std::string left = tokens[random() % tokens.size()];
      const std::string right = tokens[random() % tokens.size()];
      const std::pair<std::string, std::string> merge(left, right);
      if (left.ends_with(kEndOfWord) || left.size() + right.size() > 12 ||
          std::find(merges.begin(), merges.end(), merge) != merges.end()) {
        continue;
      }
      merges.push_back(merge);
      tokens.push_back(left + right);
    }
    std::string word;
    for (size_t length = 1 + random() % 30; length > 0; --length) {
      word.push_back(static_cast<char>('a' + random() % 3));
    }
    ASSERT_EQ(Tokens(word, "abc", merges), EncodeByDefinition(word, merges)) << "round " << round << ": " << word;
  }
}

}  // namespace
}  // namespace stepcast
