#include "text/prompt/prompt_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cpu_scaling.h"

namespace stepcast {

void PrintTo(const PromptFragment& fragment, std::ostream* out) {
  *out << (fragment.breaks ? "BREAK" : "\"" + fragment.text + "\"") << " " << fragment.weight;
}

namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::StartsWith;

constexpr PromptSyntax kAll[] = {PromptSyntax::kPlain, PromptSyntax::kA1111, PromptSyntax::kA1111NoNorm};

// Text and weight; the text kBreakMark is BREAK.
using Expected = std::vector<std::pair<std::string, double>>;
constexpr char kBreakMark[] = "|";

Expected Simple(const std::vector<PromptFragment>& fragments) {
  Expected simple;
  for (const PromptFragment& fragment : fragments) {
    simple.emplace_back(fragment.breaks ? kBreakMark : fragment.text, fragment.weight);
  }
  return simple;
}

Expected Parsed(const std::string& text, PromptSyntax syntax = PromptSyntax::kA1111) {
  const auto fragments = ParsePrompt(text, syntax);
  EXPECT_TRUE(fragments.ok()) << text << ": " << fragments.status();
  return fragments.ok() ? Simple(*fragments) : Expected();
}

// The examples that A1111's own source is tested with.
TEST(PromptParserTest, DoctestsOfTheSource) {
  const std::pair<const char*, Expected> rows[] = {
      {"normal text", {{"normal text", 1.0}}},
      {"an (important) word", {{"an ", 1.0}, {"important", 1.1}, {" word", 1.0}}},
      {"(unbalanced", {{"unbalanced", 1.1}}},
      {"\\(literal\\]", {{"(literal]", 1.0}}},
      {"(unnecessary)(parens)", {{"unnecessaryparens", 1.1}}},
      {"a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
       {{"a ", 1.0},
        {"house", 1.5730000000000004},
        {" ", 1.1},
        {"on", 1.0},
        {" a ", 1.1},
        {"hill", 0.55},
        {", sun, ", 1.1},
        {"sky", 1.4641000000000006},
        {".", 1.1}}},
  };
  for (const auto& [text, expected] : rows) {
    EXPECT_EQ(Parsed(text), expected) << text;
    EXPECT_EQ(Parsed(text, PromptSyntax::kA1111NoNorm), expected) << text;
  }
}

TEST(PromptParserTest, BracketsEscapesAndEnds) {
  const double down = 1 / 1.1;
  const std::pair<const char*, Expected> rows[] = {
      {"", {{"", 1.0}}},
      {"((x:1.2))", {{"x", 1.2 * 1.1}}},
      {"[x]", {{"x", down}}},
      {"[[x", {{"x", down * down}}},
      {"([)x]y", {{"x", down}, {"y", 1.0}}},
      {"a :1.2)", {{"a :1.2)", 1.0}}},
      {"a)b]c", {{"a)b]c", 1.0}}},
      {"(a:-0.5)(b:0)", {{"a", -0.5}, {"b", 0.0}}},
      {"(a: 1.5 )", {{"a", 1.5}}},
      {"(a:1.5", {{"a:1.5", 1.1}}},
      {"(a:b:2)", {{"a:b", 2.0}}},
      {"(a:\u0661.\u0665)", {{"a", 1.5}}},  // digits of any script
      {"a\\b\\", {{"ab", 1.0}}},
      {"\\\\(a\\))", {{"\\", 1.0}, {"a)", 1.1}}},
      {"（a:2）", {{"（a:2）", 1.0}}},
      {"[a:b]", {{"a:b", down}}},
      {"a|b", {{"a|b", 1.0}}},
      {"[a (b] c:0.5]", {{"a ", down}, {"b", down * 1.1}, {" c:0.5]", 1.1}}},  // does not nest: no schedule
      {"[a\\|b]", {{"a|b", down}}},
      {"<cat-toy> <a b:c>", {{"<cat-toy> <a b:c>", 1.0}}},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(Parsed(text), expected) << text;
}

// In A1111's source BREAK inside brackets is painted as a word, because its mark is weighed with the others.
TEST(PromptParserTest, BreakAlwaysBreaks) {
  const std::pair<const char*, Expected> rows[] = {
      {"a  BREAK\n b", {{"a", 1.0}, {"|", 1.0}, {"b", 1.0}}},
      {"BREAK", {{"", 1.0}, {"|", 1.0}, {"", 1.0}}},
      {"(a BREAK b:1.5)", {{"a", 1.5}, {"|", 1.0}, {"b", 1.5}}},
      {"(a:-1) BREAK b", {{"a", -1.0}, {"", 1.0}, {"|", 1.0}, {"b", 1.0}}},
      {"a,BREAK,b", {{"a,", 1.0}, {"|", 1.0}, {",b", 1.0}}},
      {"aBREAK BREAK_ \u00e9BREAK break", {{"aBREAK BREAK_ \u00e9BREAK break", 1.0}}},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(Parsed(text), expected) << text;
}

struct Refused {
  const char* text;
  const char* begins;
  const char* says;
};

const Refused kRefused[] = {
    {"a [b:c:0.5]", "byte offset 2: \"[b:c:0.5]\" changes words at a step", "round brackets"},
    {"\u00e9 [b: 3 ]", "byte offset 3: \"[b: 3 ]\" changes words at a step", ""},
    {"[a|b] c", "byte offset 0: \"[a|b]\" takes turns between words", ""},
    {"((a][:b:c [d:3]", "byte offset 10: \"[d:3]\"", ""},
    {"x <lora:style:0.8>", "byte offset 2: \"<lora:style:0.8>\" names a LoRA", "take it out"},
    {"<LyCO:style>", "byte offset 0: \"<LyCO:style>\" names a LoRA", ""},
    {"<hypernet:x:1>", "byte offset 0: \"<hypernet:x:1>\" names a hypernetwork", ""},
    {"<wildcard:x>", "byte offset 0: \"<wildcard:x>\" names an extra network", ""},
    {"(a:1.2.3)", "byte offset 3: the weight \"1.2.3\" is no number", ""},
    {"(a:.)", "byte offset 3: the weight \".\" is no number", ""},
    {"(a:1000.0001)", "byte offset 1: \"a\" weighs 1000.0001", "allowed are -1000..1000"},
    {"b (a:1001)", "byte offset 3: \"a\" weighs 1001", "allowed are -1000..1000"},
    {"((a:100):-100)", "byte offset 2: \"a\" weighs -10000", ""},
};

TEST(PromptParserTest, RefusesByNameAndPlace) {
  for (const Refused& row : kRefused) {
    const absl::Status status = ParsePrompt(row.text, PromptSyntax::kA1111).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.text;
    EXPECT_THAT(std::string(status.message()), StartsWith(row.begins));
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.says));
    EXPECT_EQ(ParsePromptParts(row.text, PromptSyntax::kA1111NoNorm).status(), status) << row.text;
    EXPECT_EQ(Parsed(row.text, PromptSyntax::kPlain), (Expected{{row.text, 1.0}}));
  }
}

TEST(PromptParserTest, DepthIsBounded) {
  for (const char open : {'(', '['}) {
    EXPECT_TRUE(ParsePrompt(std::string(kMaxPromptDepth, open) + "x", PromptSyntax::kA1111).ok());
    const auto deep = ParsePrompt(std::string(kMaxPromptDepth + 1, open) + "x", PromptSyntax::kA1111);
    EXPECT_EQ(deep.status().message(), "byte offset 64: more than 64 brackets are open");
  }
}

TEST(PromptParserTest, WeightsThatOverflowAreRefused) {
  for (const std::string& weight : {std::string(400, '9'), std::string("-") + std::string(400, '9')}) {
    EXPECT_FALSE(ParsePrompt("(a:" + weight + ")", PromptSyntax::kA1111).ok());
    EXPECT_FALSE(ParsePrompt("((a:" + weight + "):0)", PromptSyntax::kA1111).ok());  // infinity times 0
    EXPECT_FALSE(ParsePromptParts("a:" + weight, PromptSyntax::kA1111).ok());
  }
}

using Parts = std::vector<std::pair<Expected, double>>;

Parts ParsedParts(const std::string& text, PromptSyntax syntax = PromptSyntax::kA1111) {
  const auto parts = ParsePromptParts(text, syntax);
  EXPECT_TRUE(parts.ok()) << text << ": " << parts.status();
  Parts simple;
  if (!parts.ok()) return simple;
  for (const PromptPart& part : *parts) simple.emplace_back(Simple(part.fragments), part.weight);
  return simple;
}

TEST(PromptPartsTest, AndSplitsAndWeighs) {
  const std::pair<const char*, Parts> rows[] = {
      {"a cat", {{{{"a cat", 1.0}}, 1.0}}},
      {"a cat  AND a dog :0.5 ", {{{{"a cat", 1.0}}, 1.0}, {{{" a dog", 1.0}}, 0.5}}},
      {"a:-1.5 AND (b:1.2)", {{{{"a", 1.0}}, -1.5}, {{{" ", 1.0}, {"b", 1.2}}, 1.0}}},
      {"AND", {{{{"", 1.0}}, 1.0}, {{{"", 1.0}}, 1.0}}},
      {"BAND AND_", {{{{"BAND AND_", 1.0}}, 1.0}}},
      {"(a AND b)", {{{{"a", 1.1}}, 1.0}, {{{" b)", 1.0}}, 1.0}}},
      {"ratio 16:9", {{{{"ratio 16", 1.0}}, 9.0}}},
      {"a:1:2", {{{{"a:1", 1.0}}, 2.0}}},
      {"a:1.2.3", {{{{"a:1.2.3", 1.0}}, 1.0}}},
      {"a:", {{{{"a:", 1.0}}, 1.0}}},
      {"[a AND b:0.5]", {{{{"a", 1 / 1.1}}, 1.0}, {{{" b:0.5]", 1.0}}, 1.0}}},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(ParsedParts(text), expected) << text;
  EXPECT_EQ(ParsedParts("a AND b:2", PromptSyntax::kPlain), (Parts{{{{"a AND b:2", 1.0}}, 1.0}}));
}

TEST(PromptPartsTest, PlacesCountFromTheWholePrompt) {
  const auto at = [](const char* text) {
    return std::string(ParsePromptParts(text, PromptSyntax::kA1111).status().message());
  };
  EXPECT_THAT(at("a AND [b|c]"), StartsWith("byte offset 6: \"[b|c]\""));
  EXPECT_THAT(at("a AND (b:..)"), StartsWith("byte offset 9: "));
  EXPECT_EQ(at("a AND b : 1001"), "byte offset 8: a part that weighs \" 1001\"; allowed are -1000..1000");
}

TEST(PromptPartsTest, InNegativePromptsAndIsAWord) { EXPECT_EQ(Parsed("a AND b:2"), (Expected{{"a AND b:2", 1.0}})); }

// Letters, digits and punctuation that no syntax reads.
std::string PlainText(std::mt19937& random) {
  static const char* const kPieces[] = {"a",  "red", " ", ",",  ".", "-", "\u00e9", "\u6771", "12",
                                        "'s", "!",   "/", "\n", "<", "{", "_",      "BREAKS"};
  std::string text;
  for (unsigned length = random() % 40; length > 0; --length) text += kPieces[random() % std::size(kPieces)];
  return text;
}

TEST(PromptParserTest, TextWithoutSyntaxIsTheSameInEverySyntax) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = PlainText(random);
    for (const PromptSyntax syntax : kAll) EXPECT_EQ(Parsed(text, syntax), (Expected{{text, 1.0}}));
  }
}

std::string Soup(std::mt19937& random) {
  static const char* const kPieces[] = {"(",      ")", "[",      "]", "\\",       ":",     ":1.2)",
                                        ":0.5]",  "|", "<lora:", ">", " BREAK ",  " AND ", "a",
                                        "\u00e9", "1", ".",      " ", "\xe2\x82", "-"};
  std::string text;
  for (unsigned length = random() % 60; length > 0; --length) text += kPieces[random() % std::size(kPieces)];
  return text;
}

// Whatever comes: an answer. Fragments are the text without what the syntax takes out, in order; weights are bounded.
TEST(PromptParserTest, FragmentsAreTheTextInOrder) {
  std::mt19937 random(2);
  int parsed = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = Soup(random);
    const auto fragments = ParsePrompt(text, PromptSyntax::kA1111);
    if (!fragments.ok()) continue;
    ++parsed;
    size_t at = 0;
    for (size_t index = 0; index < fragments->size(); ++index) {
      const PromptFragment& fragment = (*fragments)[index];
      ASSERT_LE(std::abs(fragment.weight), kMaxPromptWeight) << text;
      for (const char c : fragment.text) {
        at = text.find(c, at);
        ASSERT_NE(at, std::string::npos) << text;
        ++at;
      }
      if (index > 0 && !fragment.breaks && !(*fragments)[index - 1].breaks) {
        EXPECT_NE(fragment.weight, (*fragments)[index - 1].weight) << text;
      }
    }
  }
  EXPECT_GT(parsed, 5000);
}

TEST(PromptParserTest, WorkIsLinear) {
  const std::string pieces[] = {"(",    "()",    "(a)",    "[a]",     "\\",   "\\a(",   ":",     ": ",
                                ":1",   ":1.2)", "BREAK",  " BREAK ", "AND ", " AND",   "<a:",   "<a",
                                "[a:1", "[|",    "(a:1) ", "1 ]",     "   ]", "\u3000", "[b:1e", "a:1 AND "};
  for (const std::string& piece : pieces) {
    std::string small, large;
    while (small.size() < 8 << 10) small += piece;
    while (large.size() < 64 << 10) large += piece;
    const auto parse = [&](int size) {
      const std::string& text = size == 1 ? small : large;
      ParsePrompt(text, PromptSyntax::kA1111).status().IgnoreError();
      ParsePromptParts(text, PromptSyntax::kA1111).status().IgnoreError();
    };
    EXPECT_LT(GrowthOver8(parse, 1), kLinearOver8) << piece;
  }
  // As deep as may be, and many pieces: each is weighed by each bracket.
  const auto deep = [](int size) {
    std::string text(kMaxPromptDepth, '(');
    for (int i = 0; i < size * 1000; ++i) text += "\\a";
    ParsePrompt(text, PromptSyntax::kA1111).status().IgnoreError();
  };
  EXPECT_LT(GrowthOver8(deep, 1), kLinearOver8);
}

}  // namespace
}  // namespace stepcast
