// Nobody vouches for prompts and tokenizer files: whatever they hold, the work must grow with their size alone.

#include <functional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "tests/support/cpu_scaling.h"
#include "tests/text/tokenizer_folder.h"
#include "text/tokenizer/clip_tokenizer.h"
#include "text/vocabulary/vocabulary_files.h"

namespace stepcast {
namespace {

std::string Repeated(const std::string& piece, int bytes) {
  std::string text;
  while (static_cast<int>(text.size()) < bytes) text += piece;
  return text;
}

TEST(LinearWorkTest, Prompts) {
  const TokenizerFolder folder;
  folder.WriteVocabulary();
  const auto tokenizer = ClipTokenizer::Load(folder.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::string pieces[] = {
      "a",                        // one word
      "a ",                       // many
      " ",                        // no word
      "\xcc\x81",                 // marks that combine
      "\xcc\xa3\xcc\x81",         // marks that change places
      "e\xcc\x81",                // letters that compose
      "\xea\xb0\x80",             // letters that decompose
      "\xff",                     // no UTF-8
      "'s",                       // contractions
      "<|startoftext|>",          // control tokens
      "<|startoftext",            // nearly
      "1",                        // a word for each
      "\xf0\x9f\x98\x80",         // four bytes
      "\xe2\x80\x8d\xef\xb8\x8f"  // joiners
  };
  for (const std::string& piece : pieces) {
    const std::string small = Repeated(piece, 8 << 10), large = Repeated(piece, 64 << 10);
    const auto encode = [&](int size) { (*tokenizer)->Encode(size == 1 ? small : large); };
    EXPECT_LT(GrowthOver8(encode, 1), kLinearOver8) << piece;
  }
}

// Of added tokens that begin alike, the longest is found without trying each of them.
TEST(LinearWorkTest, AddedTokensThatBeginAlike) {
  const auto encode_with = [](int count, const std::string& prompt) {
    const TokenizerFolder folder;
    folder.WriteVocabulary();
    nlohmann::json added;
    const auto first = static_cast<int>(nlohmann::json::parse(ReadWholeFile(TextDataPath("vocab.json"))).size());
    for (int i = 0; i < count; ++i) added[std::string(static_cast<size_t>(i + 2), 'a') + "b"] = first + i;
    folder.WriteJson("added_tokens.json", added);
    const auto tokenizer = ClipTokenizer::Load(folder.path());
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    if (!tokenizer.ok()) return 0.0;
    return GrowthOver8([&](int size) { (*tokenizer)->Encode(prompt.substr(0, static_cast<size_t>(size) << 10)); }, 4);
  };
  EXPECT_LT(encode_with(500, std::string(32 << 10, 'a')), kLinearOver8);
}

TEST(LinearWorkTest, Files) {
  const std::pair<const char*, std::function<std::string(int)>> rows[] = {
      {"merges of two letters", [](int count) { return Repeated("a b\n", 4 * count); }},
      {"no merge at all", [](int count) { return Repeated("\n", count); }},
      {"version lines", [](int count) { return Repeated("#version\n", 9 * count); }},
      {"one long line", [](int count) { return "a " + std::string(static_cast<size_t>(4 * count), 'b'); }},
      {"line ends at the end", [](int count) { return "a b" + Repeated("\r\n", 2 * count); }},
  };
  for (const auto& [name, make] : rows) {
    const TokenizerFolder small, large;
    for (const auto& [folder, count] : {std::pair(&small, 10'000), std::pair(&large, 80'000)}) {
      nlohmann::json vocabulary;
      for (int i = 0; i < count; ++i) vocabulary["token" + std::to_string(i)] = i;
      folder->WriteJson("vocab.json", vocabulary);
      folder->Write("merges.txt", make(count));
    }
    const auto read = [&](int size) {
      ReadBpeModel(size == 1 ? small.path() : large.path(), nullptr).status().IgnoreError();
    };
    EXPECT_LT(GrowthOver8(read, 1), kLinearOver8) << name;
  }
}

}  // namespace
}  // namespace stepcast
