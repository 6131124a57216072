#include "server/request/pictures/picture_parameters.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<SharedRequest> Validated(const std::string& text) {
  const ModelRegistry models = ThreeModels();
  FixedSeed seeds(5);
  return ValidateRequest(Wire(text), models, LimitsConfig(), seeds);
}

PictureParameters Parameters(const std::string& text, int image_index = 0) {
  const auto request = Validated(text);
  EXPECT_TRUE(request.ok()) << text << request.status();
  return request.ok() ? ParametersOf(**request, image_index) : PictureParameters();
}

TEST(PictureParametersTest, InTheWordsOfOtherTools) {
  const std::string text = Parameters(R"(prompt: "a red apple" negative_prompt: "blurry" steps: 20 clip_skip: 1
      sampler: SAMPLER_EULER_ANCESTRAL sigma_schedule: SIGMA_SCHEDULE_KARRAS seed: 7 image_count: 2)",
                                      1)
                               .infotext;
  EXPECT_THAT(text, testing::StartsWith("a red apple\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Schedule "
                                        "type: Karras, CFG scale: 5, Seed: 8, Size: 64x64, Model hash: "));
  EXPECT_THAT(text, HasSubstr(", Model: texty, Clip skip: 2, "));
  EXPECT_THAT(Parameters(R"(prompt: "p")").infotext, Not(HasSubstr("Clip skip"))) << "the last layer goes unsaid";
}

TEST(PictureParametersTest, EverySettingIsThereAndReadsBackTheSame) {
  const std::string text =
      Parameters(R"(prompt: "p" eta: 0.1234567890123456 guidance_scale: 2.3000000000000003 guidance_rescale: 0.7
          guidance_start: 0.1 guidance_end: 0.9 output { format: IMAGE_FORMAT_WEBP })")
          .infotext;
  for (const char* const setting :
       {"Eta DDIM: 0.1234567890123456", "CFG scale: 2.3000000000000003", "Guidance rescale: 0.7", "Guidance start: 0.1",
        "Guidance end: 0.9", "Timestep spacing: leading", "Schedule type: Automatic", "Quality: 90"}) {
    EXPECT_THAT(text, HasSubstr(setting));
  }
  EXPECT_THAT(Parameters(R"(model: "digits" class_index: 7 classifier_scale: 1.5 guidance_scale: 1)").infotext,
              HasSubstr("Class: 7, "));
}

TEST(PictureParametersTest, TheRequestAsksForThisPictureAlone) {
  const PictureParameters parameters =
      Parameters(R"(prompt: "two\nlines, \"quoted\" \\ z\303\274rich \346\227\245" seed: 9007199254740000 image_count: 3
          guidance_scale: 0.1 preview { every_n_steps: 4 })",
                 2);
  v1::GenerateRequest read;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(parameters.request_json, &read).ok());
  EXPECT_EQ(read.seed(), 9007199254740002);
  EXPECT_EQ(read.image_count(), 1);
  EXPECT_EQ(read.guidance_scale(), 0.1);
  EXPECT_FALSE(read.has_preview()) << "it does not change the picture";
  EXPECT_EQ(read.prompt(), "two\nlines, \"quoted\" \\ z\303\274rich \346\227\245");
  // What it asks for carries the same parameters again.
  EXPECT_EQ(Parameters(read.DebugString()).Joined(), parameters.Joined());
}

TEST(PictureParametersTest, AJpegHoldsOnlySoMuch) {
  const std::string prompt(8000, '\x01');  // six bytes each in JSON
  const std::string jpeg = "output { embed_parameters: true format: IMAGE_FORMAT_JPEG } prompt: \"";
  const auto refused = Validated(jpeg + "\\001" + std::string(4000, 'a') + "\\346\\227\\245\" negative_prompt: \"" +
                                 std::string(8000, 'b') + "\"");
  EXPECT_TRUE(refused.ok()) << "a long prompt fits: " << refused.status();
  v1::GenerateRequest request = Wire(jpeg + "p\"");
  request.set_prompt(prompt);
  request.set_negative_prompt(prompt);
  const ModelRegistry models = ThreeModels();
  FixedSeed seeds(5);
  const absl::Status status = ValidateRequest(request, models, LimitsConfig(), seeds).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("output.embed_parameters: got true, which needs "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("PNG and WebP hold more"));
  request.mutable_output()->set_format(v1::IMAGE_FORMAT_WEBP);
  EXPECT_TRUE(ValidateRequest(request, models, LimitsConfig(), seeds).ok());
}

}  // namespace
}  // namespace stepcast
