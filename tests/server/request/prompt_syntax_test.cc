#include "server/request/checks/prompt_syntax.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/cpu_scaling.h"

namespace stepcast {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST(PromptSyntaxTest, EachKindIsToldWithItsExample) {
  const struct {
    const char* text;
    const char* example;
    const char* what;
  } rows[] = {
      {"a (red:1.2) apple", "\"(red:1.2)\"", "weights"},
      {"a (red : .5 ) apple", "\"(red : .5 )\"", "weights"},
      {"a (red:-1) apple", "\"(red:-1)\"", "weights"},
      {"(old (apple:1.3) tree)", "\"(apple:1.3)\"", "weights"},
      {"a (red)1.5 apple", "\"(red)\"", "weights"},
      {"a (dark red)++ apple", "\"(dark red)\"", "weights"},
      {"an apple (red)--", "\"(red)\"", "weights"},
      {"the year (1990:1.2)", "\"(1990:1.2)\"", "weights"},
      {"a ((red)) apple", "\"((red))\"", "brackets"},
      {"a [[red]] apple", "\"[[red]]\"", "brackets"},
      {"a [red:blue:0.5] apple", "\"[red:blue:0.5]\"", "all steps"},
      {"a [red:10] apple", "\"[red:10]\"", "all steps"},
      {"a [red|blue] apple", "\"[red|blue]\"", "all steps"},
      {"a {red|blue} apple", "\"{red|blue}\"", "chosen"},
      {"apple <lora:fruit:0.8>", "\"<lora:fruit:0.8>\"", "adapters"},
      {"apple <LyCO:x>", "\"<LyCO:x>\"", "adapters"},
      {"apple <hypernet:x:1>", "\"<hypernet:x:1>\"", "adapters"},
      {"embedding:easynegative, apple", "\"embedding:easynegative\"", "embeddings"},
      {"__colour__ apple", "\"__colour__\"", "wildcards"},
      {"an apple BREAK, a tree", "\"BREAK\"", "ends chunks"},
      {"an apple AND a tree", "\"AND\"", "joins prompts"},
      {"apple <|endoftext|> tree", "\"<|endoftext|>\"", "control token of the text encoder, not as words"},
      {"<|startoftext|>apple", "\"<|startoftext|>\"", "control token of the text encoder, not as words"},
      {"apple <|im_end|>", "\"<|im_end|>\"", "no such control token"},
      {"apple <|ENDOFTEXT|>", "\"<|ENDOFTEXT|>\"", "no such control token"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(PromptSyntaxWarnings("prompt", row.text, PromptSyntax::kPlain),
                ElementsAre(AllOf(StartsWith(std::string("prompt: ") + row.example + " is "), HasSubstr(row.what))))
        << row.text;
  }
}

TEST(PromptSyntaxTest, PlainTextsAreNotSuspected) {
  for (const char* text : {"",
                           "  ",
                           "a red apple (ripe)",
                           "a film still (16:9)",
                           "a clock (it is 10:30)",
                           "the (x)-axis, (a)+(b)",
                           "a photo, 50mm [sharp]",
                           "CATS AND DOGS",
                           "BREAK",
                           "rock and roll",
                           "1 < 2 > 0",
                           "time: 12:30",
                           "a:b",
                           "x|y",
                           "{one}",
                           "(a) (b)",
                           ") ( ] [ > < } {",
                           "snake_case __ x",
                           "C++",
                           "a ~ b",
                           "<b>bold</b>",
                           "<lora>",
                           "<|a b|>",
                           "<||>",
                           "apple (red:)",
                           "apple (:)",
                           "\xe2\x9c\x82 (\xe2\x9c\x82)",
                           "a (b) 1.5",
                           "(word)2"}) {
    EXPECT_THAT(PromptSyntaxWarnings("prompt", text, PromptSyntax::kPlain), IsEmpty()) << text;
  }
}

TEST(PromptSyntaxTest, ManyAreTellsOneEach) {
  EXPECT_THAT(PromptSyntaxWarnings("negative_prompt", "(a:1.1) (b:1.2) <lora:x:1> <lora:y:1> AND BREAK x",
                                   PromptSyntax::kPlain),
              SizeIs(4));
  const std::string longest = "<lora:" + std::string(500, 'x') + ">";
  EXPECT_LT(PromptSyntaxWarnings("prompt", longest, PromptSyntax::kPlain)[0].size(), 160u);
}

TEST(PromptSyntaxTest, WhatASyntaxReadsIsNotToldOfIt) {
  for (const PromptSyntax syntax : {PromptSyntax::kA1111, PromptSyntax::kA1111NoNorm}) {
    EXPECT_THAT(PromptSyntaxWarnings("prompt", "(a:1.1) ((b)) [[c]] BREAK d AND e", syntax), IsEmpty());
    EXPECT_THAT(PromptSyntaxWarnings("prompt", "{a|b} __c__ embedding:d <|endoftext|>", syntax), SizeIs(4));
  }
}

TEST(PromptSyntaxTest, TheWorkIsLinear) {
  for (const std::string piece : {"(", "((", "(a:1", ":1.2)", "[a|", "<|", "<lora:", "{|", "__", "AND ", "1.1."}) {
    const auto scan = [&](int scale) {
      std::string text;
      for (int i = 0; i < scale * 4'000; ++i) text += piece;
      PromptSyntaxWarnings("prompt", text, PromptSyntax::kPlain);
    };
    EXPECT_LT(GrowthOver8([&](int large) { scan(large == 1 ? 1 : 8); }, 1), kLinearOver8) << piece;
  }
}

}  // namespace
}  // namespace stepcast
