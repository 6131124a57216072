#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/catalog/model_description.h"
#include "server/request/checks/request_checks.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Runs the checks of conditioning alone.
struct Checked {
  explicit Checked(const RegisteredModel& model, const v1::GenerateRequest& wire) {
    resolved.model = model.info;
    CheckConditioning({wire, model, limits, NarrowLimits(*model.info, limits)}, resolved, violations);
  }

  LimitsConfig limits;
  GenerationRequest resolved;
  FieldViolations violations;
};

RegisteredModel Register(ModelInfo info) {
  return ModelRegistry::Create({Share(std::move(info))}, "", &LoadFakeTokenizer)->default_model();
}

TEST(CheckConditioningTest, TokenizesForEveryEncoder) {
  ModelInfo info = TextModel();
  info.tokenizer_dirs = {"fake:8", "fake:4"};
  const Checked checked(Register(info), Wire(R"(prompt: "one two three" negative_prompt: "x")"));
  EXPECT_TRUE(checked.violations.empty());
  EXPECT_THAT(checked.resolved.prompt_parts.front().tokens.ids,
              ElementsAre(ElementsAre(1000, 3, 3, 5, 1001, 1001, 1001, 1001), ElementsAre(1000, 3, 3, 1001)));
  EXPECT_THAT(checked.resolved.negative_tokens.ids, SizeIs(2));
  EXPECT_THAT(checked.resolved.warnings,
              ElementsAre("prompt is longer than the 4 tokens that the model reads; cut: \"three\"; "
                          "prompt_syntax PROMPT_SYNTAX_A1111 reads longer prompts"));
}

TEST(CheckConditioningTest, UnsetAndEmptyNegativePromptDiffer) {
  const RegisteredModel model = Register(TextModel());
  EXPECT_FALSE(Checked(model, Wire(R"(prompt: "p")")).resolved.negative_prompt_given);
  EXPECT_TRUE(Checked(model, Wire(R"(prompt: "p" negative_prompt: "")")).resolved.negative_prompt_given);
}

TEST(CheckConditioningTest, TheSecondEncoderMayReadAnotherText) {
  const RegisteredModel model = Register(SdxlModel());
  const auto ids = [](int32_t word) { return ElementsAre(1000, word, 1001, 1001, 1001, 1001, 1001, 1001); };
  const Checked both(model, Wire(R"(prompt: "a" prompt_2: "four" negative_prompt: "" negative_prompt_2: "fives")"));
  EXPECT_TRUE(both.violations.empty());
  EXPECT_THAT(both.resolved.prompt_parts.front().tokens.ids, ElementsAre(ids(1), ids(4)));
  EXPECT_THAT(both.resolved.negative_tokens.ids, ElementsAre(ids(1001), ids(5)));
  const Checked one(model, Wire(R"(prompt: "a" prompt_2: "")"));
  EXPECT_THAT(one.resolved.prompt_parts.front().tokens.ids, ElementsAre(ids(1), ids(1))) << "an empty one is none";
}

TEST(CheckConditioningTest, PromptsAreReadInTheSyntaxOfTheRequest) {
  const RegisteredModel model = Register(TextModel());
  const Checked plain(model, Wire(R"(prompt: "(a:2) AND b")"));
  EXPECT_THAT(plain.resolved.prompt_parts, SizeIs(1));
  EXPECT_THAT(plain.resolved.warnings, SizeIs(2)) << "a weight and AND are painted as words";
  const Checked a1111(model, Wire(R"(prompt: "(a:2) AND b :0.5" prompt_syntax: PROMPT_SYNTAX_A1111)"));
  ASSERT_THAT(a1111.resolved.prompt_parts, SizeIs(2));
  EXPECT_EQ(a1111.resolved.prompt_parts[1].weight, 0.5);
  EXPECT_EQ(a1111.resolved.prompt_syntax, PromptSyntax::kA1111);
  EXPECT_THAT(a1111.resolved.prompt_lengths, SizeIs(1)) << "no negative prompt was given";
  EXPECT_THAT(a1111.resolved.warnings, IsEmpty());
  EXPECT_TRUE(Checked(model, Wire(R"(prompt: "a" prompt_syntax: 99)")).violations.Has("prompt_syntax"));
  const Checked bad(model, Wire(R"(prompt: "[a|b]" negative_prompt: "<lora:x:1>" prompt_syntax: PROMPT_SYNTAX_A1111)"));
  EXPECT_TRUE(bad.violations.Has("prompt"));
  EXPECT_TRUE(bad.violations.Has("negative_prompt"));
  const Checked classes(Register(ClassModel()), Wire(R"(class_index: 1 prompt_syntax: PROMPT_SYNTAX_PLAIN)"));
  ASSERT_THAT(classes.violations.violations(), SizeIs(1));
  EXPECT_THAT(classes.violations.violations().front().description, HasSubstr("got PROMPT_SYNTAX_PLAIN"));
}

TEST(CheckConditioningTest, ModelsThatAreToldTheirGuidanceFollowOnePrompt) {
  ModelInfo info = TextModel();
  info.noise_schedule.embeds_guidance = true;
  const RegisteredModel model = Register(std::move(info));
  const auto check = [&](const char* text) {
    v1::GenerateRequest wire = Wire("prompt_syntax: PROMPT_SYNTAX_A1111");
    wire.set_prompt(text);
    return Checked(model, wire);
  };
  EXPECT_TRUE(check("a AND b").violations.Has("prompt"));
  EXPECT_TRUE(check("a :2").violations.Has("prompt"));
  EXPECT_FALSE(check("(a:2)").violations.Has("prompt"));
}

TEST(CheckConditioningTest, SecondTextsThatHaveNoPlaceAreRefused) {
  const Checked single(Register(TextModel()), Wire(R"(prompt: "a" prompt_2: "b" negative_prompt_2: "")"));
  ASSERT_THAT(single.violations.violations(), SizeIs(2));
  EXPECT_EQ(single.violations.violations()[0].description,
            "got a text; allowed: unset, because texty has one text encoder");
  const Checked alone(Register(SdxlModel()), Wire(R"(prompt: "a" negative_prompt_2: "b")"));
  EXPECT_TRUE(alone.violations.Has("negative_prompt_2"));
  const Checked nul(Register(SdxlModel()), Wire(R"(prompt: "a" prompt_2: "\000")"));
  EXPECT_TRUE(nul.violations.Has("prompt_2"));
  const Checked digits(Register(ClassModel()), Wire(R"(prompt_2: "b" negative_prompt_2: "c")"));
  EXPECT_THAT(digits.violations.violations(), SizeIs(2));
}

TEST(CheckConditioningTest, TextsThatAreWrongAreNotTokenized) {
  const Checked checked(Register(TextModel()), Wire(R"(prompt: "\000" negative_prompt: "\000")"));
  EXPECT_THAT(checked.violations.violations(), SizeIs(2));
  EXPECT_THAT(checked.resolved.prompt_parts, IsEmpty());
  EXPECT_THAT(checked.resolved.negative_tokens.ids, IsEmpty());
}

TEST(CheckConditioningTest, ClassesByIndexAndByLabel) {
  const RegisteredModel model = Register(ClassModel());
  EXPECT_EQ(Checked(model, Wire("")).resolved.class_index, std::nullopt);
  EXPECT_EQ(Checked(model, Wire("class_index: 0")).resolved.class_index, 0);
  EXPECT_EQ(Checked(model, Wire(R"(class_label: "nine")")).resolved.class_index, 9);
}

TEST(CheckConditioningTest, ALabelOfSeveralClassesIsAmbiguous) {
  ModelInfo info = ClassModel();
  info.class_labels[10] = "crane";
  info.class_labels[12] = "crane";
  const RegisteredModel model = Register(info);
  const Checked checked(model, Wire(R"(class_label: "crane")"));
  ASSERT_THAT(checked.violations.violations(), SizeIs(1));
  EXPECT_EQ(checked.violations.violations()[0].description,
            "got \"crane\"; allowed: a label of one class; name this one by class_index");
  EXPECT_EQ(Checked(model, Wire("class_index: 12")).resolved.class_index, 12);
}

TEST(CheckConditioningTest, WithoutANullClassAClassIsRequired) {
  ModelInfo info = ClassModel();
  info.has_null_class = false;
  info.defaults.guidance_scale = 1.0;
  const Checked checked(Register(info), Wire(""));
  ASSERT_THAT(checked.violations.violations(), SizeIs(1));
  EXPECT_EQ(checked.violations.violations()[0].field, "class_label");
  EXPECT_TRUE(Checked(Register(info), Wire("class_index: 3")).violations.empty());
}

TEST(CheckConditioningTest, LongLabelListsAreNotSpelledOut) {
  ModelInfo info = ClassModel();
  for (int i = 10; i < 1000; ++i) info.class_labels[i] = std::to_string(i);
  const Checked checked(Register(info), Wire(R"(class_label: "cat")"));
  ASSERT_THAT(checked.violations.violations(), SizeIs(1));
  EXPECT_EQ(checked.violations.violations()[0].description,
            "got \"cat\"; allowed: one of Model.class_labels of GetModel");
}

}  // namespace
}  // namespace stepcast
