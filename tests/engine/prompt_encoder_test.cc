#include "engine/codecs/prompt_encoder.h"

#include <ATen/ops/equal.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/error_reason.h"
#include "sampling/recipe/request_recipe.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PromptEncoderTest : public ::testing::Test {
 protected:
  DenoiseState* Add(const Picture& picture) {
    jobs_.push_back(MakePictureJob(static_cast<int64_t>(jobs_.size()), model_, picture));
    const Job& job = *jobs_.back();
    states_.push_back(std::make_unique<DenoiseState>(bundle_, job.spec().recipe, job.seed()));
    return states_.back().get();
  }
  DenoiseState* Add(const GenerationRequest& request) {
    const sampling::SharedProgram program = CompilePicture(TestSchedule(), {});
    states_.push_back(std::make_unique<DenoiseState>(bundle_, sampling::RecipeOf(request, program), 1));
    return states_.back().get();
  }

  const c10::InferenceMode inference_mode_;
  NullEngineMetrics metrics_;
  FakeScript script_;
  std::shared_ptr<const model::ModelBundle> bundle_ = MakeFakeBundle("fake", &script_);
  SharedModelInfo model_ = MakePictureModel("fake");
  EmbeddingCache cache_{100, metrics_};
  TorchGuard guard_;
  PromptEncoder encoder_{cache_, guard_};
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<DenoiseState>> states_;
};

TEST_F(PromptEncoderTest, EncodesEveryDistinctPromptOnceInOneForward) {
  const std::vector<DenoiseState*> jobs = {Add(Picture{.prompt = {1, 2}}), Add(Picture{.prompt = {1, 2}}),
                                           Add(Picture{.prompt = {3, 4}})};
  for (DenoiseState* job : jobs) EXPECT_TRUE(*encoder_.Start(*job));
  for (const absl::Status& status : encoder_.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(script_.encode_sizes, ElementsAre(3));  // two prompts and the negative one they share
  EXPECT_EQ(Cond(*jobs[0]), Cond(*jobs[1]));
  EXPECT_NE(Cond(*jobs[0]), Cond(*jobs[2]));
  EXPECT_EQ(Uncond(*jobs[0]), Uncond(*jobs[2]));
  EXPECT_EQ(Cond(*jobs[0])->conditioning.prompt_embeds.size(0), 1);
}

TEST_F(PromptEncoderTest, AloneMeansOnePromptPerForward) {
  PromptEncoder alone(cache_, guard_, /*alone=*/true);
  const std::vector<DenoiseState*> jobs = {Add(Picture{.prompt = {1, 2}}), Add(Picture{.prompt = {1, 2}}),
                                           Add(Picture{.prompt = {3, 4}})};
  for (DenoiseState* job : jobs) EXPECT_TRUE(*alone.Start(*job));
  for (const absl::Status& status : alone.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(script_.encode_sizes, ElementsAre(1, 1, 1));
}

TEST_F(PromptEncoderTest, AWarmPromptNeedsNoTick) {
  DenoiseState* const cold = Add(Picture());
  EXPECT_TRUE(*encoder_.Start(*cold));
  encoder_.Encode({&cold, 1});
  DenoiseState* const warm = Add(Picture{.seed = 9});
  EXPECT_FALSE(*encoder_.Start(*warm));
  EXPECT_EQ(Cond(*warm), Cond(*cold));
  EXPECT_EQ(Uncond(*warm), Uncond(*cold));
  // The negative prompt alone is warm for another prompt: only the prompt is encoded.
  DenoiseState* const half = Add(Picture{.prompt = {8, 8}});
  EXPECT_TRUE(*encoder_.Start(*half));
  encoder_.Encode({&half, 1});
  EXPECT_THAT(script_.encode_sizes, ElementsAre(2, 1));
}

TEST_F(PromptEncoderTest, WhatAnEarlierTickEncodedIsNotEncodedAgain) {
  DenoiseState* const first = Add(Picture());
  DenoiseState* const second = Add(Picture());
  EXPECT_TRUE(*encoder_.Start(*first));
  EXPECT_TRUE(*encoder_.Start(*second));
  encoder_.Encode({&first, 1});
  encoder_.Encode({&second, 1});
  EXPECT_THAT(script_.encode_sizes, ElementsAre(2));
  EXPECT_EQ(Cond(*first), Cond(*second));
}

TEST_F(PromptEncoderTest, AnUnguidedJobEncodesNoNegativePrompt) {
  DenoiseState* job = Add(Picture{.negative = {}, .guidance_scale = 1.0});
  EXPECT_TRUE(*encoder_.Start(*job));
  EXPECT_TRUE(encoder_.Encode({&job, 1})[0].ok());
  EXPECT_EQ(Uncond(*job), nullptr);
  EXPECT_THAT(script_.encode_sizes, ElementsAre(1));
}

TEST_F(PromptEncoderTest, ClipSkipAppliesToThePositivePromptAlone) {
  DenoiseState* const plain = Add(Picture());
  DenoiseState* const skipping = Add(Picture{.clip_skip = 1});
  const std::vector<DenoiseState*> jobs = {skipping, plain};
  for (DenoiseState* job : jobs) EXPECT_TRUE(*encoder_.Start(*job));
  for (const absl::Status& status : encoder_.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(at::equal(Cond(*plain)->conditioning.prompt_embeds, Cond(*skipping)->conditioning.prompt_embeds));
  EXPECT_EQ(Uncond(*plain), Uncond(*skipping));
  EXPECT_THAT(script_.encode_sizes, ElementsAre(2, 1));
}

TEST_F(PromptEncoderTest, SizesAndUnsetNegativesTellEmbeddingsApart) {
  auto info = std::make_shared<ModelInfo>(*MakePictureModel("sdxl"));
  info->size_conditioning = SizeConditioning::kTarget;
  info->zeroes_unset_negative = true;
  bundle_ = MakeFakeBundle(SharedModelInfo(info), &script_);
  Add(Picture());
  GenerationRequest request = jobs_.back()->request();
  request.model = info;
  request.sizes = {.original_width = 8, .original_height = 8};
  GenerationRequest given = request;
  given.negative_prompt_given = true;
  GenerationRequest larger = request;
  larger.sizes.original_width = 9;
  std::vector<DenoiseState*> jobs;
  for (const GenerationRequest* wanted : {&request, &given, &larger}) {
    jobs.push_back(Add(*wanted));
    EXPECT_TRUE(*encoder_.Start(*jobs.back()));
  }
  for (const absl::Status& status : encoder_.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Cond(*jobs[0]), Cond(*jobs[1]));
  EXPECT_NE(Cond(*jobs[0]), Cond(*jobs[2])) << "other sizes";
  EXPECT_NE(Uncond(*jobs[0]), Uncond(*jobs[1])) << "zeros, and the text of the same tokens";
  EXPECT_NE(Uncond(*jobs[0]), Uncond(*jobs[2]));
  EXPECT_THAT(script_.encode_sizes, ElementsAre(5));
}

TEST_F(PromptEncoderTest, APooledEmbeddingThatIsNotFiniteIsAFault) {
  script_.pooled = std::numeric_limits<float>::quiet_NaN();
  DenoiseState* job = Add(Picture());
  EXPECT_TRUE(*encoder_.Start(*job));
  EXPECT_EQ(ErrorReason(encoder_.Encode({&job, 1})[0]), "NUMERIC_FAULT");
}

TEST_F(PromptEncoderTest, RefusesIdsOutsideTheVocabularyAndMissingPrompts) {
  struct Case {
    Picture picture;
    const char* message;
  };
  const Case cases[] = {
      {{.prompt = {1, kFakeVocabulary}}, "prompt 0 has token id 100; the text encoder knows 0 to 99"},
      {{.prompt = {-1}}, "prompt 0 has token id -1"},
      {{.negative = {1, 12345}}, "prompt 1 has token id 12345"},
  };
  for (const Case& test : cases) {
    const absl::StatusOr<bool> started = encoder_.Start(*Add(test.picture));
    EXPECT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(started.status().message()), HasSubstr(test.message));
  }
  EXPECT_THAT(script_.encode_sizes, IsEmpty());
}

TEST_F(PromptEncoderTest, APromptThatFailsTakesNoOtherWithIt) {
  const std::vector<DenoiseState*> jobs = {Add(Picture{.prompt = {1, 2}}), Add(Picture{.prompt = {1, kThrowToken}}),
                                           Add(Picture{.prompt = {1, 3}}), Add(Picture{.prompt = {1, kNanToken}}),
                                           Add(Picture{.prompt = {1, 4}})};
  for (DenoiseState* job : jobs) EXPECT_TRUE(*encoder_.Start(*job));
  const std::vector<absl::Status> statuses = encoder_.Encode(jobs);
  EXPECT_TRUE(statuses[0].ok() && statuses[2].ok() && statuses[4].ok());
  EXPECT_EQ(ErrorReason(statuses[1]), "ENGINE_ERROR");
  EXPECT_EQ(ErrorReason(statuses[3]), "NUMERIC_FAULT");
  for (const size_t i : {0, 2, 4}) EXPECT_NE(Cond(*jobs[i]), nullptr);
}

}  // namespace
}  // namespace stepcast::engine
