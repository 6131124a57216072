#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "server/request/pictures/picture_parameters.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

absl::StatusOr<SharedRequest> Validated(const std::string& text) {
  static const ModelRegistry models =
      *ModelRegistry::Create({Share(TextModel()), Share(SdxlModel()), Share(RefinerModel())}, "", &LoadFakeTokenizer);
  FixedSeed seeds(7);
  return ValidateRequest(Wire(text), models, LimitsConfig(), seeds);
}

TEST(CheckSizeConditioningTest, TheDefaultsAreTheSizeOfThePicture) {
  const auto request = Validated(R"(model: "sdxl" prompt: "p" width: 96 height: 40)");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT(SizeIds(SizeConditioning::kTarget, (*request)->sizes, false), testing::ElementsAre(40, 96, 0, 0, 40, 96));
  const auto refined = Validated(R"(model: "refiner" prompt: "p" width: 96 height: 40)");
  ASSERT_TRUE(refined.ok()) << refined.status();
  EXPECT_THAT(SizeIds(SizeConditioning::kAestheticScore, (*refined)->sizes, true),
              testing::ElementsAre(40, 96, 0, 0, 2.5));
}

TEST(CheckSizeConditioningTest, EveryValueIsEchoedAndAskedForAgainIsTheSame) {
  const std::string rows[] = {
      R"(model: "sdxl" prompt: "p")",
      R"(model: "sdxl" prompt: "p" prompt_2: "q" negative_prompt: "" negative_prompt_2: "r" size_conditioning {
         original_width: 1 original_height: 65536 crop_left: 3 crop_top: 65536 target_width: 5 target_height: 6 })",
      R"(model: "sdxl" prompt: "p" size_conditioning { negative_original_width: 1 negative_original_height: 2
         negative_target_width: 65536 negative_target_height: 4 })",
      R"(model: "sdxl" prompt: "p" size_conditioning { negative_original_width: 1 negative_original_height: 2
         negative_crop_left: 0 negative_crop_top: 65536 negative_target_width: 3 negative_target_height: 4 })",
      R"(model: "refiner" prompt: "p" size_conditioning { aesthetic_score: 0 negative_aesthetic_score: 10 })",
  };
  for (const std::string& row : rows) {
    const auto once = Validated(row);
    ASSERT_TRUE(once.ok()) << row << once.status();
    const v1::GenerateRequest effective = ToEffectiveRequest(**once);
    EXPECT_TRUE(effective.size_conditioning().has_original_width());
    const auto twice = Validated(effective.DebugString());
    ASSERT_TRUE(twice.ok()) << twice.status();
    EXPECT_TRUE(MessageDifferencer::Equals(effective, ToEffectiveRequest(**twice))) << effective.DebugString();
  }
}

TEST(CheckSizeConditioningTest, WhatIsWrongIsNamed) {
  struct Case {
    const char* request;
    const char* field;
  };
  const Case cases[] = {
      {R"(prompt: "p" size_conditioning {})", "size_conditioning: got a message; allowed: unset, because texty"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { original_width: 0 })", "size_conditioning.original_width"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { target_height: 65537 })", "size_conditioning.target_height"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { crop_top: -1 })", "size_conditioning.crop_top"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { aesthetic_score: 6 })", "size_conditioning.aesthetic_score"},
      {R"(model: "refiner" prompt: "p" size_conditioning { target_width: 64 })", "size_conditioning.target_width"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { negative_original_width: 8 negative_original_height: 8
          negative_target_width: 8 })",
       "size_conditioning.negative_target_height: got nothing; allowed: 1..65536, beside "
       "size_conditioning.negative_original_width"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { negative_crop_top: 8 })",
       "size_conditioning.negative_original_width: got nothing"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { negative_original_width: 0 negative_original_height: 8
          negative_target_width: 8 negative_target_height: 8 })",
       "size_conditioning.negative_original_width"},
      {R"(model: "sdxl" prompt: "p" size_conditioning { negative_original_width: 8 negative_original_height: 8
          negative_target_width: 8 negative_target_height: 8 negative_crop_left: -1 })",
       "size_conditioning.negative_crop_left"},
      {R"(model: "refiner" prompt: "p" size_conditioning { negative_target_width: 8 })",
       "size_conditioning.negative_target_width"},
      {R"(model: "refiner" prompt: "p" size_conditioning { aesthetic_score: 10.5 })",
       "size_conditioning.aesthetic_score"},
      {R"(model: "refiner" prompt: "p" size_conditioning { negative_aesthetic_score: nan })",
       "size_conditioning.negative_aesthetic_score"},
  };
  for (const Case& test : cases) {
    const auto request = Validated(test.request);
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << test.request;
    EXPECT_THAT(std::string(request.status().message()), HasSubstr(test.field)) << test.request;
  }
}

TEST(CheckSizeConditioningTest, TheNegativePromptIsToldOfNoCropUnlessItIsAsked) {
  const std::string sizes =
      R"(negative_original_width: 1 negative_original_height: 2 negative_target_width: 3 negative_target_height: 4)";
  const auto ids = [&](const std::string& more) {
    const auto request =
        Validated(R"(model: "sdxl" prompt: "p" size_conditioning { crop_top: 9 )" + sizes + more + " }");
    return SizeIds(SizeConditioning::kTarget, (*request)->sizes, /*negative=*/true);
  };
  EXPECT_THAT(ids(""), testing::ElementsAre(2, 1, 0, 0, 4, 3));
  EXPECT_THAT(ids(" negative_crop_left: 7"), testing::ElementsAre(2, 1, 0, 7, 4, 3));
}

TEST(CheckSizeConditioningTest, TokenizersOfDifferentLengthsDoNotStandSideBySide) {
  ModelInfo info = SdxlModel();
  info.tokenizer_dirs = {"fake:8", "fake:4"};
  const auto models = ModelRegistry::Create({Share(info)}, "", &LoadFakeTokenizer);
  EXPECT_THAT(std::string(models.status().message()), HasSubstr("give 8 and 4 tokens per prompt"));
}

TEST(CheckSizeConditioningTest, PicturesCarryIt) {
  const auto request = Validated(
      R"(model: "sdxl" prompt: "p" prompt_2: "q" size_conditioning { original_width: 30 original_height: 20 crop_top: 4 })");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT(ParametersOf(**request, 0).infotext,
              HasSubstr("Prompt 2: q, Original size: 30x20, Crop: 0/4, Target size: 64x64"));
}

}  // namespace
}  // namespace stepcast
