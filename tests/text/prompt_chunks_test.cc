#include "text/prompt/prompt_chunks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/cpu_scaling.h"
#include "text/vocabulary/built_in_clip.h"

namespace stepcast {
namespace {

constexpr int32_t kStart = 49406, kEnd = 49407, kA = 320, kComma = 267, kCat = 2368;
constexpr int kManyChunks = 1000;

const ClipTokenizer& Clip() {
  static const std::unique_ptr<const ClipTokenizer> clip = *ClipTokenizer::Load(kBuiltInClip);
  return *clip;
}

const ClipTokenizer& OpenClip() {
  static const std::unique_ptr<const ClipTokenizer> clip = *ClipTokenizer::Load(kBuiltInOpenClip);
  return *clip;
}

PromptChunks Chunks(const std::string& text, int max_chunks = kManyChunks, const PseudoWords& words = {},
                    const ClipTokenizer& tokenizer = Clip()) {
  const auto fragments = ParsePrompt(text, PromptSyntax::kA1111);
  EXPECT_TRUE(fragments.ok()) << fragments.status();
  return ChunkPrompt(*fragments, tokenizer, words, ChunkRulesOf(PromptSyntax::kA1111, max_chunks));
}

// How many tokens of content the chunks have.
std::vector<int> Sizes(const PromptChunks& prompt) {
  std::vector<int> sizes;
  for (const PromptChunk& chunk : prompt.chunks) {
    EXPECT_EQ(chunk.ids.size(), 77u);
    EXPECT_EQ(chunk.weights.size(), 77u);
    const auto end = std::find(chunk.ids.begin(), chunk.ids.end(), kEnd);
    sizes.push_back(static_cast<int>(end - chunk.ids.begin()) - 1);
  }
  return sizes;
}

std::string Words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "a ";
  return text;
}

TEST(PromptChunksTest, IdsAndWeightsOfOneChunk) {
  const PromptChunks prompt = Chunks("a (cat, a:1.5)");
  ASSERT_EQ(prompt.chunks.size(), 1u);
  EXPECT_EQ(prompt.tokens, 4);
  EXPECT_EQ(prompt.cut, "");
  std::vector<int32_t> ids = {kStart, kA, kCat, kComma, kA};
  ids.resize(77, kEnd);
  EXPECT_EQ(prompt.chunks[0].ids, ids);
  std::vector<float> weights = {1, 1, 1.5, 1.5, 1.5};
  weights.resize(77, 1);
  EXPECT_EQ(prompt.chunks[0].weights, weights);
}

TEST(PromptChunksTest, OpenClipPadsWithZero) {
  const PromptChunks prompt = Chunks("a BREAK", kManyChunks, {}, OpenClip());
  std::vector<int32_t> ids = {kStart, kA, kEnd};
  ids.resize(77, 0);
  ASSERT_EQ(prompt.chunks.size(), 1u);
  EXPECT_EQ(prompt.chunks[0].ids, ids);
  // Behind an end token that the prompt spells there is padding alone.
  EXPECT_EQ(Chunks("a<|endoftext|> cat", kManyChunks, {}, OpenClip()).chunks[0].ids, ids);
}

TEST(PromptChunksTest, WhereTheEndPadsWordsBehindOneThatIsSpeltStay) {
  std::vector<int32_t> ids = {kStart, kA, kEnd, kCat};
  ids.resize(77, kEnd);
  EXPECT_EQ(Chunks("a<|endoftext|> cat").chunks[0].ids, ids);
  EXPECT_EQ(Clip().Encode("a<|endoftext|> cat").ids, ids);
}

TEST(PromptChunksTest, ChunksEndWhereTheyAreFull) {
  EXPECT_EQ(Sizes(Chunks("")), (std::vector{0}));
  EXPECT_EQ(Sizes(Chunks(Words(75))), (std::vector{75}));
  EXPECT_EQ(Sizes(Chunks(Words(76))), (std::vector{75, 1}));
  EXPECT_EQ(Sizes(Chunks(Words(151))), (std::vector{75, 75, 1}));
  EXPECT_EQ(Chunks(Words(151)).tokens, 151);
}

TEST(PromptChunksTest, CommasUpToTwentyTokensBackEndChunks) {
  const auto sizes = [](int before, int behind) { return Sizes(Chunks(Words(before) + ", " + Words(behind))); };
  EXPECT_EQ(sizes(54, 30), (std::vector{75, 10}));  // 21 back: too far
  EXPECT_EQ(sizes(55, 30), (std::vector{56, 30}));
  EXPECT_EQ(sizes(55, 19), (std::vector{75}));  // nothing to move
  EXPECT_EQ(sizes(74, 1), (std::vector{75, 1}));
  EXPECT_EQ(sizes(75, 1), (std::vector{75, 2}));  // a comma that finds the chunk full opens the next
  EXPECT_EQ(Sizes(Chunks(Words(60) + ", " + Words(10) + ", " + Words(10))), (std::vector{72, 10}));  // the last counts
  const PromptChunks moved = Chunks(Words(60) + ", " + Words(10) + "(" + Words(10) + ":2)");
  EXPECT_EQ(Sizes(moved), (std::vector{61, 20}));
  EXPECT_EQ(moved.chunks[1].weights[10], 1.0F);  // weights move with their tokens
  EXPECT_EQ(moved.chunks[1].weights[11], 2.0F);
}

TEST(PromptChunksTest, BreakPadsTheChunk) {
  EXPECT_EQ(Sizes(Chunks("a BREAK cat a")), (std::vector{1, 2}));
  EXPECT_EQ(Sizes(Chunks("BREAK a")), (std::vector{0, 1}));
  EXPECT_EQ(Sizes(Chunks("BREAK BREAK")), (std::vector{0, 0}));
  EXPECT_EQ(Sizes(Chunks(Words(75) + "BREAK a")), (std::vector{75, 1}));
  EXPECT_EQ(Sizes(Chunks(Words(60) + ", BREAK " + Words(70))), (std::vector{61, 70}));
  EXPECT_EQ(Sizes(Chunks("(a BREAK a:1.2)")), (std::vector{1, 1}));
}

TEST(PromptChunksTest, FewerChunksAreTheFirstOfMore) {
  std::mt19937 random(3);
  for (int i = 0; i < 100; ++i) {
    std::string text;
    for (unsigned words = random() % 400; words > 0; --words)
      text += random() % 50 == 0 ? "cat, " : random() % 150 == 0 ? "BREAK " : "a ";
    const PromptChunks all = Chunks(text);
    for (int most = 1; most <= 3; ++most) {
      const PromptChunks some = Chunks(text, most);
      ASSERT_EQ(some.chunks.size(), std::min(all.chunks.size(), static_cast<size_t>(most)));
      EXPECT_TRUE(std::equal(some.chunks.begin(), some.chunks.end(), all.chunks.begin()));
      // What was cut has the tokens that are missing.
      EXPECT_EQ(Clip().EncodeContent(some.cut).size(), static_cast<size_t>(all.tokens - some.tokens));
    }
  }
}

TEST(PromptChunksTest, CutTextIsTold) {
  EXPECT_EQ(Chunks(Words(76) + "(Cat:1.2), it's", 1).cut, "a cat , it 's");
  EXPECT_EQ(Chunks("a BREAK cat BREAK a cat", 1).cut, "cat a cat");
}

// The same as Encode in every syntax while it fits, and in PLAIN beyond.
TEST(PromptChunksTest, PlainTextIsWhatTheTokenizerMakesOfIt) {
  for (const ClipTokenizer* tokenizer : {&Clip(), &OpenClip()}) {
    for (const std::string& text :
         {std::string(), std::string("A red apple, on caf\u00e9 12!"), Words(75), Words(74) + "cat, a dog",
          std::string("a <|endoftext|> b"), std::string("(a:1.2) BREAK [b]")}) {
      const PromptFragment fragment = {.text = text};
      const TokenizedPrompt expected = tokenizer->Encode(text);
      const PromptChunks plain = ChunkPrompt({&fragment, 1}, *tokenizer, {}, ChunkRulesOf(PromptSyntax::kPlain, 4));
      ASSERT_EQ(plain.chunks.size(), 1u) << text;
      EXPECT_EQ(plain.chunks[0].ids, expected.ids) << text;
      EXPECT_EQ(plain.chunks[0].weights, std::vector<float>(77, 1.0F)) << text;
      EXPECT_EQ(plain.cut, expected.truncated) << text;
      if (plain.cut.empty() && text.find_first_of("(<") == std::string::npos) {
        EXPECT_EQ(Chunks(text, 4, {}, *tokenizer), plain) << text;
      }
    }
  }
}

PseudoWords Embeddings() {
  std::vector<absl::Status> refused;
  PseudoWords words = PseudoWords::Create(
      {{.name = "sks-cat", .token = "<toy>", .vectors = 2}, {.name = "badhands", .vectors = 40}}, Clip(), &refused);
  EXPECT_TRUE(refused.empty());
  return words;
}

TEST(PromptChunksTest, PseudoWordsAreIdsBehindTheVocabulary) {
  const PseudoWords words = Embeddings();
  const PromptChunks prompt = Chunks("a (SKS-Cat:1.5), a<toy>", kManyChunks, words);
  std::vector<int32_t> ids = {kStart, kA, 49408, 49409, kComma, kA, 49408, 49409};
  ids.resize(77, kEnd);
  ASSERT_EQ(prompt.chunks.size(), 1u);
  EXPECT_EQ(prompt.chunks[0].ids, ids);
  EXPECT_EQ(prompt.chunks[0].weights[2], 1.5F);
  EXPECT_EQ(prompt.chunks[0].weights[3], 1.5F);
  EXPECT_EQ(prompt.tokens, 7);
}

TEST(PromptChunksTest, PseudoWordsStayWhole) {
  const PseudoWords words = Embeddings();
  EXPECT_EQ(Sizes(Chunks(Words(35) + "badhands a", kManyChunks, words)), (std::vector{75, 1}));
  EXPECT_EQ(Sizes(Chunks(Words(36) + "badhands a", kManyChunks, words)), (std::vector{36, 41}));
  // Full, with a comma in reach: what follows it moves along, the pseudo-word with it.
  EXPECT_EQ(Sizes(Chunks(Words(60) + ", " + Words(12) + "<toy> " + "cat", kManyChunks, words)), (std::vector{61, 15}));
  EXPECT_EQ(Sizes(Chunks(Words(60) + ", " + Words(14) + "<toy>", kManyChunks, words)), (std::vector{61, 16}));
  EXPECT_EQ(Chunks(Words(70) + "cat BadHands, <toy> a", 1, words).cut, "badhands , sks-cat a");
}

TEST(PromptChunksTest, WorkIsLinear) {
  const PseudoWords words = Embeddings();
  for (const std::string& piece :
       {std::string("a, "), std::string("a "), std::string("BREAK "), std::string("badhands "), std::string("badhand"),
        std::string("(a:1.2)b"), std::string("<toy>"), std::string("<to")}) {
    const auto chunk = [&](int size) {
      std::string text;
      while (text.size() < static_cast<size_t>(size) << 13) text += piece;
      Chunks(text, 4, words);
    };
    EXPECT_LT(GrowthOver8(chunk, 1), kLinearOver8) << piece;
  }
}

}  // namespace
}  // namespace stepcast
