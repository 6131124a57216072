#include "server/request/checks/prompt_reader.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_models.h"

namespace stepcast {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

RegisteredModel Register(ModelInfo info) {
  return ModelRegistry::Create({Share(std::move(info))}, "", &LoadFakeTokenizer)->default_model();
}

// Reads for a model with prompts of six words.
struct Reading {
  explicit Reading(std::string_view text, PromptSyntax syntax = PromptSyntax::kA1111, bool positive = true)
      : read(PromptReader(model, syntax, 2).Read({"prompt", text, "prompt_2"}, positive, violations)) {}

  const PromptTokens& tokens() const { return read.parts.front().tokens; }
  std::string refusal() const {
    return violations.violations().size() == 1 ? violations.violations()[0].description : "not one refusal";
  }

  RegisteredModel model = Register(TextModel());
  FieldViolations violations;
  ReadPrompt read;
};

TEST(PromptReaderTest, TextWithoutSyntaxIsTheSameInAll) {
  for (const char* text : {"", "a", "one two three", "six words are what fits here"}) {
    const Reading plain(text, PromptSyntax::kPlain);
    ASSERT_THAT(plain.read.parts, SizeIs(1));
    EXPECT_TRUE(plain.tokens().weights.empty());
    for (const PromptSyntax syntax : {PromptSyntax::kA1111, PromptSyntax::kA1111NoNorm}) {
      const Reading other(text, syntax);
      EXPECT_EQ(other.read.parts, plain.read.parts) << text;
      EXPECT_EQ(other.read.lengths[0].tokens, plain.read.lengths[0].tokens) << text;
      EXPECT_THAT(other.read.warnings, IsEmpty()) << text;
    }
  }
}

TEST(PromptReaderTest, WeightsBelongToTheirTokens) {
  const Reading a("a (bb:1.5)");
  EXPECT_THAT(a.tokens().ids, ElementsAre(ElementsAre(1000, 1, 2, 1001, 1001, 1001, 1001, 1001)));
  EXPECT_THAT(a.tokens().weights, ElementsAre(ElementsAre(1, 1, 1.5F, 1, 1, 1, 1, 1)));
  EXPECT_TRUE(a.tokens().restores_mean);
  EXPECT_FALSE(Reading("a (bb:1.5)", PromptSyntax::kA1111NoNorm).tokens().restores_mean);
  EXPECT_FALSE(Reading("a").tokens().restores_mean) << "nothing weighs";
  EXPECT_EQ(Reading("a (bb:1)").tokens(), Reading("a bb").tokens());
}

TEST(PromptReaderTest, LongPromptsAreChunks) {
  const Reading eight("1 2 3 4 5 6 7 8");
  EXPECT_EQ(eight.tokens().chunks, 2);
  EXPECT_THAT(eight.tokens().ids[0], SizeIs(16));
  EXPECT_THAT(eight.read.lengths, ElementsAre(AllOf(Field(&PromptLength::field, "prompt"),
                                                    Field(&PromptLength::tokens, 8), Field(&PromptLength::chunks, 2))));
  EXPECT_THAT(eight.read.warnings, IsEmpty());
  const Reading cut("1 2 3 4 5 6 7 8 9 10 11 12 13");
  EXPECT_EQ(cut.tokens().chunks, 2);
  EXPECT_THAT(cut.read.warnings, ElementsAre(AllOf(HasSubstr("longer than the 2 chunks of 6 tokens"),
                                                   HasSubstr("max_prompt_chunks"), HasSubstr("\"1 words\""))));
  EXPECT_THAT(Reading("1 2 3 4 5 6 7", PromptSyntax::kPlain).read.warnings,
              ElementsAre(HasSubstr("cut: \"7\"; prompt_syntax PROMPT_SYNTAX_A1111")));
  EXPECT_EQ(Reading("a BREAK b").tokens().chunks, 2);
}

TEST(PromptReaderTest, EncodersHaveEquallyManyChunks) {
  const RegisteredModel model = Register(SdxlModel());
  const PromptReader reader(model, PromptSyntax::kA1111, 4);
  FieldViolations violations;
  const ReadPrompt read =
      reader.Read({"prompt", "(a:2)", "prompt_2", "1 2 3 4 5 6 7 8 9 10 11 12 13"}, true, violations);
  ASSERT_THAT(read.parts, SizeIs(1));
  const PromptTokens& tokens = read.parts[0].tokens;
  EXPECT_EQ(tokens.chunks, 3);
  ASSERT_THAT(tokens.ids, ElementsAre(SizeIs(24), SizeIs(24)));
  ASSERT_THAT(tokens.weights, ElementsAre(SizeIs(24), SizeIs(24)));
  EXPECT_EQ(tokens.ids[0][8], 1000) << "an empty chunk";
  EXPECT_EQ(tokens.ids[0][9], 1001);
  EXPECT_THAT(read.lengths, ElementsAre(AllOf(Field(&PromptLength::tokens, 1), Field(&PromptLength::chunks, 1)),
                                        AllOf(Field(&PromptLength::field, "prompt_2"), Field(&PromptLength::tokens, 13),
                                              Field(&PromptLength::chunks, 3))));
  EXPECT_TRUE(violations.empty());
}

TEST(PromptReaderTest, PositivePromptsHaveParts) {
  const Reading two("a cat :1.5 AND a dog AND (x:2)");
  ASSERT_THAT(two.read.parts, SizeIs(3));
  EXPECT_EQ(two.read.parts[0].weight, 1.5);
  EXPECT_EQ(two.read.parts[1].weight, 1.0);
  EXPECT_TRUE(two.read.parts[1].tokens.weights.empty());
  EXPECT_FALSE(two.read.parts[2].tokens.weights.empty());
  EXPECT_EQ(two.read.lengths[0].tokens, 5);
  EXPECT_EQ(two.read.lengths[0].chunks, 3);
  EXPECT_THAT(Reading("a AND b", PromptSyntax::kA1111, /*positive=*/false).read.parts, SizeIs(1));
  EXPECT_THAT(Reading("a AND b", PromptSyntax::kPlain).read.parts, SizeIs(1));
  EXPECT_THAT(Reading("1 AND 2 AND 3 AND 4 AND 5 AND 6 AND 7 AND 8").read.parts, SizeIs(8));
  EXPECT_EQ(Reading("1 AND 2 AND 3 AND 4 AND 5 AND 6 AND 7 AND 8 AND 9").refusal(),
            "got 9 parts between AND; allowed: 1..8");
}

TEST(PromptReaderTest, AWeightOfTheWholeIsTold) {
  EXPECT_THAT(Reading("ratio 16:9").read.warnings, ElementsAre(HasSubstr("ends in the weight 9")));
  EXPECT_THAT(Reading("ratio 16:9,").read.warnings, IsEmpty());
  EXPECT_EQ(Reading("ratio 16:9,").read.parts[0].weight, 1.0);
}

TEST(PromptReaderTest, NamesOfInversionsStandForTheirVectors) {
  const RegisteredModel model = Register(TextModel());
  auto words = std::make_shared<ModelWords>();
  std::vector<absl::Status> refused;
  // A word alone is a token of its own to this tokenizer.
  words->words =
      PseudoWords::Create({{.name = "one x"}, {.name = "two x", .vectors = 2}}, *model.tokenizers[0], &refused);
  for (const char* sha256 : {"1", "2"}) {
    auto file = std::make_shared<TextualInversion>();
    file->sha256 = sha256;
    file->vectors = sha256[0] - '0';
    words->files.push_back(std::move(file));
  }
  FieldViolations violations;
  const PromptReader reader(model, PromptSyntax::kA1111, 2, words);
  const PromptTokens tokens =
      reader.Read({"prompt", "a (two x:1.5) one x two x", "prompt_2"}, true, violations).parts.at(0).tokens;
  EXPECT_THAT(tokens.ids[0], ElementsAre(1000, 1, -1, -2, -3, -1, -2, 1001));
  EXPECT_THAT(tokens.weights[0], ElementsAre(1, 1, 1.5F, 1.5F, 1, 1, 1, 1));
  ASSERT_THAT(tokens.inversions, SizeIs(2));
  EXPECT_EQ(tokens.inversions[0].file->sha256, "2") << "in the order in which they are named";
  const PromptReader plain(model, PromptSyntax::kPlain, 2, words);
  EXPECT_THAT(plain.Read({"prompt", "one x", "prompt_2"}, true, violations).parts.at(0).tokens.inversions, IsEmpty());
}

TEST(PromptReaderTest, WhatCannotBeReadIsRefusedWithItsPlace) {
  for (const auto& [text, place] : {std::pair("a <lora:x:1>", "at byte offset 2: "),
                                    {"[a:b:0.5]", "at byte offset 0: "},
                                    {"a [b|c]", "at byte offset 2: "},
                                    {"(a:1.2.3)", "at byte offset "},
                                    {"(a:9999)", "at byte offset "}}) {
    const Reading reading(text);
    EXPECT_THAT(reading.read.parts, IsEmpty()) << text;
    EXPECT_THAT(reading.refusal(), StartsWith(std::string("got ") + place)) << text;
    EXPECT_TRUE(Reading(text, PromptSyntax::kPlain).violations.empty()) << text;
  }
}

TEST(PromptReaderTest, ASecondTextStandsBesideOnePartOnly) {
  const RegisteredModel model = Register(SdxlModel());
  FieldViolations violations;
  const PromptReader reader(model, PromptSyntax::kA1111, 4);
  EXPECT_THAT(reader.Read({"prompt", "a AND b", "prompt_2", "c"}, true, violations).parts, IsEmpty());
  EXPECT_TRUE(violations.Has("prompt_2"));
  FieldViolations second;
  EXPECT_THAT(reader.Read({"prompt", "a", "prompt_2", "[b|c]"}, true, second).parts, IsEmpty());
  EXPECT_TRUE(second.Has("prompt_2"));
  EXPECT_FALSE(second.Has("prompt"));
}

}  // namespace
}  // namespace stepcast
