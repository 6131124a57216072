#include "engine/prompt_encoder.h"

#include <ATen/ops/equal.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/error_reason.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PromptEncoderTest : public ::testing::Test {
 protected:
  PromptJob Add(const Picture& picture) {
    jobs_.push_back(MakePictureJob(static_cast<int64_t>(jobs_.size()), model_, picture));
    const Job& job = *jobs_.back();
    states_.push_back(std::make_unique<DenoiseState>(bundle_, job.spec().program, job.seed()));
    return {&job.request(), states_.back().get()};
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
  const std::vector<PromptJob> jobs = {Add({.prompt = {1, 2}}), Add({.prompt = {1, 2}}), Add({.prompt = {3, 4}})};
  for (const PromptJob& job : jobs) EXPECT_TRUE(*encoder_.Start(job));
  for (const absl::Status& status : encoder_.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(script_.encode_sizes, ElementsAre(3));  // two prompts and the negative one they share
  EXPECT_EQ(jobs[0].state->cond, jobs[1].state->cond);
  EXPECT_NE(jobs[0].state->cond, jobs[2].state->cond);
  EXPECT_EQ(jobs[0].state->uncond, jobs[2].state->uncond);
  EXPECT_EQ(jobs[0].state->cond->conditioning.prompt_embeds.size(0), 1);
}

TEST_F(PromptEncoderTest, AloneMeansOnePromptPerForward) {
  PromptEncoder alone(cache_, guard_, /*alone=*/true);
  const std::vector<PromptJob> jobs = {Add({.prompt = {1, 2}}), Add({.prompt = {1, 2}}), Add({.prompt = {3, 4}})};
  for (const PromptJob& job : jobs) EXPECT_TRUE(*alone.Start(job));
  for (const absl::Status& status : alone.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(script_.encode_sizes, ElementsAre(1, 1, 1));
}

TEST_F(PromptEncoderTest, AWarmPromptNeedsNoTick) {
  const PromptJob cold = Add({});
  EXPECT_TRUE(*encoder_.Start(cold));
  encoder_.Encode({&cold, 1});
  const PromptJob warm = Add({.seed = 9});
  EXPECT_FALSE(*encoder_.Start(warm));
  EXPECT_EQ(warm.state->cond, cold.state->cond);
  EXPECT_EQ(warm.state->uncond, cold.state->uncond);
  // The negative prompt alone is warm for another prompt: only the prompt is encoded.
  const PromptJob half = Add({.prompt = {8, 8}});
  EXPECT_TRUE(*encoder_.Start(half));
  encoder_.Encode({&half, 1});
  EXPECT_THAT(script_.encode_sizes, ElementsAre(2, 1));
}

TEST_F(PromptEncoderTest, WhatAnEarlierTickEncodedIsNotEncodedAgain) {
  const PromptJob first = Add({});
  const PromptJob second = Add({});
  EXPECT_TRUE(*encoder_.Start(first));
  EXPECT_TRUE(*encoder_.Start(second));
  encoder_.Encode({&first, 1});
  encoder_.Encode({&second, 1});
  EXPECT_THAT(script_.encode_sizes, ElementsAre(2));
  EXPECT_EQ(first.state->cond, second.state->cond);
}

TEST_F(PromptEncoderTest, AnUnguidedJobEncodesNoNegativePrompt) {
  const PromptJob job = Add({.negative = {}, .guidance_scale = 1.0});
  EXPECT_TRUE(*encoder_.Start(job));
  EXPECT_TRUE(encoder_.Encode({&job, 1})[0].ok());
  EXPECT_EQ(job.state->uncond, nullptr);
  EXPECT_THAT(script_.encode_sizes, ElementsAre(1));
}

TEST_F(PromptEncoderTest, ClipSkipAppliesToThePositivePromptAlone) {
  const PromptJob plain = Add({});
  const PromptJob skipping = Add({.clip_skip = 1});
  const std::vector<PromptJob> jobs = {skipping, plain};
  for (const PromptJob& job : jobs) EXPECT_TRUE(*encoder_.Start(job));
  for (const absl::Status& status : encoder_.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(
      at::equal(plain.state->cond->conditioning.prompt_embeds, skipping.state->cond->conditioning.prompt_embeds));
  EXPECT_EQ(plain.state->uncond, skipping.state->uncond);
  EXPECT_THAT(script_.encode_sizes, ElementsAre(2, 1));
}

TEST_F(PromptEncoderTest, SizesAndUnsetNegativesTellEmbeddingsApart) {
  auto info = std::make_shared<ModelInfo>(*MakePictureModel("sdxl"));
  info->size_conditioning = SizeConditioning::kTarget;
  info->zeroes_unset_negative = true;
  bundle_ = MakeFakeBundle(SharedModelInfo(info), &script_);
  GenerationRequest request = *Add({}).request;
  request.sizes = {.original_width = 8, .original_height = 8};
  GenerationRequest given = request;
  given.negative_prompt_given = true;
  GenerationRequest larger = request;
  larger.sizes.original_width = 9;
  std::vector<PromptJob> jobs;
  for (const GenerationRequest* wanted : {&request, &given, &larger}) {
    jobs.push_back({wanted, Add({}).state});
    EXPECT_TRUE(*encoder_.Start(jobs.back()));
  }
  for (const absl::Status& status : encoder_.Encode(jobs)) EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(jobs[0].state->cond, jobs[1].state->cond);
  EXPECT_NE(jobs[0].state->cond, jobs[2].state->cond) << "other sizes";
  EXPECT_NE(jobs[0].state->uncond, jobs[1].state->uncond) << "zeros, and the text of the same tokens";
  EXPECT_NE(jobs[0].state->uncond, jobs[2].state->uncond);
  EXPECT_THAT(script_.encode_sizes, ElementsAre(5));
}

TEST_F(PromptEncoderTest, APooledEmbeddingThatIsNotFiniteIsAFault) {
  script_.pooled = std::numeric_limits<float>::quiet_NaN();
  const PromptJob job = Add({});
  EXPECT_TRUE(*encoder_.Start(job));
  EXPECT_EQ(ErrorReason(encoder_.Encode({&job, 1})[0]), "NUMERIC_FAULT");
}

TEST_F(PromptEncoderTest, RefusesIdsOutsideTheVocabularyAndMissingPrompts) {
  struct Case {
    Picture picture;
    const char* message;
  };
  const Case cases[] = {
      {{.prompt = {1, kFakeVocabulary}}, "prompt has token id 100; the text encoder knows 0 to 99"},
      {{.prompt = {-1}}, "prompt has token id -1"},
      {{.negative = {1, 12345}}, "negative_prompt has token id 12345"},
  };
  for (const Case& test : cases) {
    const absl::StatusOr<bool> started = encoder_.Start(Add(test.picture));
    EXPECT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(started.status().message()), HasSubstr(test.message));
  }
  EXPECT_THAT(script_.encode_sizes, IsEmpty());
}

TEST_F(PromptEncoderTest, APromptThatFailsTakesNoOtherWithIt) {
  const std::vector<PromptJob> jobs = {Add({.prompt = {1, 2}}), Add({.prompt = {1, kThrowToken}}),
                                       Add({.prompt = {1, 3}}), Add({.prompt = {1, kNanToken}}),
                                       Add({.prompt = {1, 4}})};
  for (const PromptJob& job : jobs) EXPECT_TRUE(*encoder_.Start(job));
  const std::vector<absl::Status> statuses = encoder_.Encode(jobs);
  EXPECT_TRUE(statuses[0].ok() && statuses[2].ok() && statuses[4].ok());
  EXPECT_EQ(ErrorReason(statuses[1]), "ENGINE_ERROR");
  EXPECT_EQ(ErrorReason(statuses[3]), "NUMERIC_FAULT");
  for (const size_t i : {0, 2, 4}) EXPECT_NE(jobs[i].state->cond, nullptr);
}

}  // namespace
}  // namespace stepcast::engine
