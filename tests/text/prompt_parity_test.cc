// Prompts against tools/parity/prompt_reference.py, written from the rules alone: fragments, parts, chunks, refusals.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/text/tokenizer_folder.h"
#include "text/prompt/prompt_chunks.h"
#include "text/prompt/prompt_parser.h"

namespace stepcast {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr PromptSyntax kWeighing[] = {PromptSyntax::kA1111, PromptSyntax::kA1111NoNorm};
constexpr int kManyChunks = 1000;

const json& Fixture() {
  static const json fixture = json::parse(ReadWholeFile(TextDataPath("prompt_cases.json")));
  return fixture;
}

json ToJson(const std::vector<PromptFragment>& fragments) {
  json list = json::array();
  for (const PromptFragment& fragment : fragments) {
    list.push_back({fragment.breaks ? json() : json(fragment.text), fragment.weight});
  }
  return list;
}

// What the refusals of the reference are called, and what ours say.
const char* SaysOf(const std::string& kind) {
  static const json says = {{"network", "take it out"},       {"alternation", "takes turns between words"},
                            {"schedule", "changes words at"}, {"depth", "brackets are open"},
                            {"number", "is no number"},       {"weight", "allowed are -1000..1000"}};
  return says.at(kind).get_ref<const std::string&>().c_str();
}

void ExpectRefusal(const absl::Status& status, const json& refusal) {
  EXPECT_THAT(std::string(status.message()), StartsWith("byte offset " + refusal[0].dump() + ": "));
  EXPECT_THAT(std::string(status.message()), HasSubstr(SaysOf(refusal[1].get<std::string>())));
}

TEST(PromptParityTest, FragmentsAndRefusals) {
  ASSERT_GE(Fixture()["cases"].size(), 200u);
  for (const json& row : Fixture()["cases"]) {
    SCOPED_TRACE(row["text"].dump());
    for (const PromptSyntax syntax : kWeighing) {
      const auto fragments = ParsePrompt(row["text"].get<std::string>(), syntax);
      if (row.contains("prompt_error")) {
        ExpectRefusal(fragments.status(), row["prompt_error"]);
      } else if (fragments.ok()) {
        EXPECT_EQ(ToJson(*fragments), row["prompt"]);
      } else {
        ADD_FAILURE() << fragments.status();
      }
    }
  }
}

TEST(PromptParityTest, Parts) {
  for (const json& row : Fixture()["cases"]) {
    SCOPED_TRACE(row["text"].dump());
    const auto parts = ParsePromptParts(row["text"].get<std::string>(), PromptSyntax::kA1111);
    if (row.contains("parts_error")) {
      ExpectRefusal(parts.status(), row["parts_error"]);
      continue;
    }
    ASSERT_TRUE(parts.ok()) << parts.status();
    json list = json::array();
    for (const PromptPart& part : *parts) list.push_back({part.weight, ToJson(part.fragments)});
    EXPECT_EQ(list, row.contains("parts") ? row["parts"] : json::array({{1.0, row["prompt"]}}));
  }
}

class PromptParityChunksTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.WriteVocabulary();
    tokenizer_ = *ClipTokenizer::Load(folder_.path());
    std::vector<PseudoWord> words;
    for (const auto& [name, vectors] : Fixture()["pseudo_words"].items()) {
      words.push_back({.name = name, .vectors = vectors.get<int>()});
    }
    std::vector<absl::Status> refused;
    words_ = PseudoWords::Create(words, *tokenizer_, &refused);
    ASSERT_TRUE(refused.empty()) << refused.front();
  }

  PromptChunk Expected(const json& chunk) const {
    const ControlTokens control = tokenizer_->control_tokens();
    PromptChunk expected = {.ids = {control.start}, .weights = {1.0F}};
    for (const json& id : chunk["ids"]) expected.ids.push_back(id.get<int32_t>());
    for (const json& run : chunk["weights"]) {
      expected.weights.insert(expected.weights.end(), run[0].get<size_t>(), static_cast<float>(run[1].get<double>()));
    }
    EXPECT_EQ(expected.ids.size(), expected.weights.size());
    expected.ids.push_back(control.end);
    expected.ids.resize(77, control.pad);
    expected.weights.resize(77, 1.0F);
    return expected;
  }

  TokenizerFolder folder_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
  PseudoWords words_;
};

TEST_F(PromptParityChunksTest, Chunks) {
  size_t long_ones = 0;
  for (const json& row : Fixture()["cases"]) {
    if (!row.contains("chunks")) continue;
    SCOPED_TRACE(row["text"].dump());
    const auto fragments = ParsePrompt(row["text"].get<std::string>(), PromptSyntax::kA1111);
    ASSERT_TRUE(fragments.ok()) << fragments.status();
    const PromptChunks prompt =
        ChunkPrompt(*fragments, *tokenizer_, words_, ChunkRulesOf(PromptSyntax::kA1111, kManyChunks));
    ASSERT_EQ(prompt.chunks.size(), row["chunks"].size());
    int tokens = 0;
    for (size_t index = 0; index < prompt.chunks.size(); ++index) {
      EXPECT_EQ(prompt.chunks[index], Expected(row["chunks"][index])) << "chunk " << index;
      tokens += static_cast<int>(row["chunks"][index]["ids"].size());
    }
    EXPECT_EQ(prompt.tokens, tokens);
    EXPECT_EQ(prompt.cut, "");
    long_ones += prompt.chunks.size() > 1 ? 1 : 0;
  }
  EXPECT_GE(long_ones, 40u);
}

}  // namespace
}  // namespace stepcast
