// Class-conditional jobs through the executor: classes, the null class, and the classifier's gradient.
#include "engine/step/classifier_guidance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "core/error_reason.h"
#include "engine/executor/diffusion_executor.h"
#include "sampling/program/reference_interpreter.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/fake_class_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

using sampling::Evaluation;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The finished latents, worked out on plain floats by the reference interpreter.
std::vector<float> ExpectedLatents(const Job& job) {
  const GenerationRequest& request = job.request();
  const int64_t height = request.latent_height();
  const int64_t width = request.latent_width();
  const size_t size = static_cast<size_t>(4 * height * width);
  const int label = request.class_index.value_or(kFakeNullClass);
  const auto predict = [&](absl::Span<const float> input, const Evaluation& evaluation) {
    std::vector<float> copy(input.begin(), input.end());
    const at::Tensor latents = at::from_blob(copy.data(), {4, height, width});
    at::Tensor output = FakeClassPrediction(latents, evaluation.timestep, label);
    if (evaluation.rows() == 2) {
      const at::Tensor uncond = FakeClassPrediction(latents, evaluation.timestep, kFakeNullClass);
      output = uncond + (output - uncond) * evaluation.guidance.scale;
    }
    if (evaluation.classifier_coef != 0.0f) {
      output = output + FakeGradient(latents, evaluation.timestep, label) * evaluation.classifier_coef;
    }
    return std::vector<float>(output.data_ptr<float>(), output.data_ptr<float>() + size);
  };
  sampling::NoiseGenerator noise(static_cast<uint64_t>(job.seed()));
  std::vector<float> initial(size);
  noise.Fill(absl::MakeSpan(initial));
  const sampling::SamplingProgram& program = *job.spec().recipe->stages.front().program;
  return sampling::RunProgram(program, sampling::StartLatents(program.start, {}, initial), predict, noise);
}

class ClassJobsTest : public ::testing::Test {
 protected:
  ClassJobsTest() {
    DiffusionExecutorOptions options;
    options.shelf = ShelfOf({MakeFakeClassBundle("digits", &script_), MakeFakeClassBundle("plain", &script_, false),
                             MakeFakeBundle("text", &text_script_)});
    options.device = *OpenDevice("cpu", 1);
    options.limits = {.max_denoise_rows = 16, .max_encode_jobs = 8, .max_decode_jobs = 8};
    executor_ = std::make_unique<DiffusionExecutor>(std::move(options), metrics_);
  }

  Job* Add(const Picture& picture, const std::string& model = "digits") {
    auto info = std::make_shared<ModelInfo>(*MakePictureModel(model));
    if (model != "text") info->conditioning = ConditioningKind::kClassLabel;
    jobs_.push_back(MakePictureJob(static_cast<int64_t>(jobs_.size()) + 1, info, picture));
    return jobs_.back().get();
  }
  Job* Started(const Picture& picture) {
    Job* job = Add(picture);
    EXPECT_EQ(executor_->Start(*job), absl::OkStatus());
    EXPECT_FALSE(job->needs_encode());
    return job;
  }
  // One denoise tick of all `jobs`; those that succeed move on.
  std::vector<StepResult> Denoise(const std::vector<Job*>& jobs) {
    StepPlan plan;
    plan.key.phase = Phase::kDenoise;
    for (const Job* job : jobs) plan.jobs.push_back(job->id());
    std::vector<StepResult> results = executor_->Execute(plan, jobs);
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (results[i].status.ok()) jobs[i]->Advance();
    }
    return results;
  }
  void DenoiseToTheEnd(const std::vector<Job*>& jobs) {
    while (true) {
      std::vector<Job*> live;
      std::ranges::copy_if(jobs, std::back_inserter(live), [](const Job* job) { return !job->denoised(); });
      if (live.empty()) return;
      for (const StepResult& result : Denoise(live)) ASSERT_TRUE(result.status.ok()) << result.status;
    }
  }
  void ExpectAsTheReference(const Job& job) {
    const std::vector<float> expected = ExpectedLatents(job);
    const at::Tensor latents = static_cast<const DenoiseState&>(*job.state()).FinishedLatents().contiguous();
    for (size_t i = 0; i < expected.size(); ++i) {
      // Both sides round in float32, once per evaluation and in different order.
      ASSERT_NEAR(latents.data_ptr<float>()[i], expected[i], 1e-5f * (1.0f + std::abs(expected[i]))) << "value " << i;
    }
  }

  NullEngineMetrics metrics_;
  FakeClassScript script_;
  FakeScript text_script_;
  std::unique_ptr<DiffusionExecutor> executor_;
  std::vector<std::unique_ptr<Job>> jobs_;
};

TEST_F(ClassJobsTest, RowsOfAllClassesAndOfNoneShareOneForward) {
  const std::vector<Job*> jobs = {
      Started({.class_index = 3, .steps = 3}),
      Started({.class_index = 5, .steps = 3, .sampler = Sampler::kEuler, .guidance_scale = 1.0, .seed = 2}),
      Started({.steps = 3, .sampler = Sampler::kDpmpp2m, .guidance_scale = 1.0, .seed = 3}),
      Started({.class_index = 0, .steps = 3, .sampler = Sampler::kDdpm, .guidance_end = 0.5, .seed = 4}),
  };
  DenoiseToTheEnd(jobs);
  EXPECT_THAT(script_.labels,
              ElementsAre(ElementsAre(6, 3, 5, 6, 6, 0), ElementsAre(6, 3, 5, 6, 0), ElementsAre(6, 3, 5, 6, 0)));
  EXPECT_TRUE(script_.asked_labels.empty());
  for (const Job* job : jobs) ExpectAsTheReference(*job);
}

TEST_F(ClassJobsTest, TheClassifierIsAskedOnceForAllWhoWantIt) {
  const std::vector<Job*> jobs = {
      Started({.class_index = 3, .classifier_scale = 2.0, .steps = 2}),
      Started({.class_index = 1, .steps = 2, .seed = 2}),
      Started(
          {.class_index = 5, .classifier_scale = 0.5, .steps = 3, .sampler = Sampler::kEuler, .guidance_scale = 1.0}),
  };
  DenoiseToTheEnd(jobs);
  EXPECT_THAT(script_.asked_labels, ElementsAre(ElementsAre(3, 5), ElementsAre(3, 5), ElementsAre(5)));
  EXPECT_THAT(script_.inference_mode, Each(true)) << "leaving it is the classifier's own affair";
  for (const Job* job : jobs) ExpectAsTheReference(*job);
}

TEST_F(ClassJobsTest, AGradientThatFailsCostsItsJobAlone) {
  Job* healthy = Started({.class_index = 2, .classifier_scale = 1.0, .steps = 2});
  Job* sick = Started({.class_index = 4, .classifier_scale = 1.0, .steps = 2});
  Job* bystander = Started({.class_index = 4, .steps = 2});
  script_.poisoned_class = 4;
  const std::vector<StepResult> results = Denoise({healthy, sick, bystander});
  EXPECT_TRUE(results[0].status.ok()) << results[0].status;
  EXPECT_EQ(ErrorReason(results[1].status), "NUMERIC_FAULT");
  EXPECT_THAT(std::string(results[1].status.message()), HasSubstr("the gradient of the classifier"));
  EXPECT_TRUE(results[2].status.ok()) << results[2].status;
  DenoiseToTheEnd({healthy, bystander});
  ExpectAsTheReference(*healthy);
  ExpectAsTheReference(*bystander);
}

TEST_F(ClassJobsTest, StartRefusesWhatTheModelDoesNotHave) {
  Job* unknown = Add({.class_index = kFakeClasses});
  EXPECT_EQ(executor_->Start(*unknown).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(unknown->state(), nullptr);
  Job* unlabelled = Add({.classifier_scale = 1.0});
  EXPECT_EQ(executor_->Start(*unlabelled).code(), absl::StatusCode::kInvalidArgument);
  Job* unjudged = Add({.class_index = 1, .classifier_scale = 1.0}, "plain");
  EXPECT_EQ(executor_->Start(*unjudged).code(), absl::StatusCode::kUnimplemented);
}

TEST_F(ClassJobsTest, TheSameClassIsOneConditioning) {
  const auto state = [](const Job* job) -> const DenoiseState& { return static_cast<DenoiseState&>(*job->state()); };
  const Job* one = Started({.class_index = 3});
  const Job* two = Started({.class_index = 3, .seed = 8});
  const Job* none = Started({.guidance_scale = 1.0});
  EXPECT_EQ(Cond(state(one)), Cond(state(two)));
  EXPECT_EQ(Uncond(state(one)), Cond(state(none))) << "unconditional is the null class";
  EXPECT_EQ(Uncond(state(none)), nullptr);
}

}  // namespace
}  // namespace stepcast::engine
