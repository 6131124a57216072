#include "text/prompt/pseudo_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/vocabulary/built_in_clip.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const ClipTokenizer& Clip() {
  static const std::unique_ptr<const ClipTokenizer> clip = *ClipTokenizer::Load(kBuiltInClip);
  return *clip;
}

PseudoWords Create(const std::vector<PseudoWord>& words, std::vector<std::string>* messages = nullptr) {
  std::vector<absl::Status> refused;
  PseudoWords table = PseudoWords::Create(words, Clip(), &refused);
  for (const absl::Status& status : refused) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    if (messages != nullptr) messages->emplace_back(status.message());
  }
  EXPECT_TRUE(messages != nullptr || refused.empty()) << refused.front();
  return table;
}

// The pieces of `text`: "text" as it is, a pseudo-word as "#index:text".
std::vector<std::string> Pieces(const PseudoWords& words, const std::string& text) {
  std::vector<std::string> pieces;
  std::string whole;
  for (const PseudoWords::Piece& piece : words.Split(text)) {
    whole += piece.text;
    pieces.push_back((piece.word < 0 ? "" : "#" + std::to_string(piece.word) + ":") + std::string(piece.text));
  }
  EXPECT_EQ(whole, text);
  return pieces;
}

TEST(PseudoWordsTest, AreFoundAsWordsInAnyCase) {
  const PseudoWords words =
      Create({{.name = "EasyNeg"}, {.name = "easyneg-v2"}, {.name = "xqztoy", .token = "<cat-toy>"}});
  EXPECT_THAT(Pieces(words, "a easyneg, b"), ElementsAre("a ", "#0:easyneg", ", b"));
  EXPECT_THAT(Pieces(words, "EASYNEG EasyNeg-V2"), ElementsAre("#0:EASYNEG", " ", "#1:EasyNeg-V2"));  // the longest
  EXPECT_THAT(Pieces(words, "easynegs easyneg2 _easyneg neasyneg"), ElementsAre("easynegs easyneg2 _easyneg neasyneg"));
  EXPECT_THAT(Pieces(words, "x<EasyNeg>x"), ElementsAre("x", "#0:<EasyNeg>", "x"));
  EXPECT_THAT(Pieces(words, "<cat-toy><Cat-Toy>"), ElementsAre("#2:<cat-toy>", "#2:<Cat-Toy>"));
  EXPECT_THAT(Pieces(words, "\u0130easyneg \u0130 easyneg\u0130"), ElementsAre("\u0130easyneg \u0130 easyneg\u0130"));
  EXPECT_THAT(Pieces(words, "\u0130 easyneg\n"), ElementsAre("\u0130 ", "#0:easyneg", "\n"));  // lower case is longer
  EXPECT_THAT(Pieces(words, ""), ElementsAre());
  EXPECT_THAT(Pieces(PseudoWords(), "easyneg"), ElementsAre("easyneg"));
}

TEST(PseudoWordsTest, VectorsFollowOneAnother) {
  const PseudoWords words =
      Create({{.name = "aaaab", .vectors = 3}, {.name = "aaaac"}, {.name = "aaaad", .vectors = 75}});
  EXPECT_EQ(words.vectors(), 79);
  EXPECT_EQ(words.first_vector(1), 3);
  EXPECT_EQ(words.first_vector(2), 4);
  const std::pair<int, int> rows[] = {{0, 0}, {2, 0}, {3, 1}, {4, 2}, {78, 2}};
  for (const auto& [vector, word] : rows) EXPECT_EQ(words.WordOfVector(vector), word) << vector;
}

TEST(PseudoWordsTest, RefusesWhatClashes) {
  const std::pair<PseudoWord, const char*> rows[] = {
      {{.name = "Cat"}, "textual inversion \"Cat\": \"cat\" is a word of the model's vocabulary"},
      {{.name = "xqz", .token = "dog"}, "\"xqz\": \"dog\" is a word of the model's vocabulary"},
      {{.name = "xqz", .token = "<|endoftext|>"}, "\"<|endoftext|>\" is a word of the model's vocabulary"},
      {{.name = "XQZ-One"}, "textual inversion \"XQZ-One\": \"<xqz-one>\" is what \"xqz-one\" is called, too"},
      {{.name = "xqz", .token = "<Toy-One>"}, "\"xqz\": \"<toy-one>\" is what \"xqz-one\" is called, too"},
      {{.name = ""}, "the name has 0 bytes; allowed are 1..128"},
      {{.name = std::string(129, 'x')}, "the name has 129 bytes"},
      {{.name = " xqz"}, "begins or ends in white space"},
      {{.name = "xqz\xff"}, "the name is no UTF-8"},
      {{.name = "xqz", .vectors = 0}, "0 vectors; a chunk takes 1..75"},
      {{.name = "xqz", .vectors = 76}, "76 vectors; a chunk takes 1..75"},
  };
  for (const auto& [word, message] : rows) {
    std::vector<std::string> messages;
    const PseudoWords words = Create({{.name = "xqz-one", .token = "<toy-one>"}, word, {.name = "xqzlast"}}, &messages);
    ASSERT_EQ(messages.size(), 1u) << message;
    EXPECT_THAT(messages[0], HasSubstr(message));
    EXPECT_EQ(words.size(), 2u);  // the others are taken all the same
    EXPECT_THAT(Pieces(words, "xqzlast"), ElementsAre("#1:xqzlast"));
  }
}

TEST(PseudoWordsTest, TokensThatSayNothingAreNoNames) {
  const PseudoWords words =
      Create({{.name = "aaaab", .token = "*"}, {.name = "aaaac", .token = "*"}, {.name = "aaaad", .token = "AAAAD"}});
  EXPECT_EQ(words.size(), 3u);
  EXPECT_THAT(Pieces(words, "*"), ElementsAre("*"));
}

}  // namespace
}  // namespace stepcast
