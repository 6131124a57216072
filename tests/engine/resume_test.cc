// A picture that is interrupted after any evaluation and goes on in another executor is the picture that was not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/executor/diffusion_executor.h"
#include "engine/job/saved_job.h"
#include "tests/engine/fake_bundle.h"
#include "tests/engine/picture_jobs.h"

namespace stepcast::engine {
namespace {

// One process: nothing of it is there when the picture goes on.
class Process {
 public:
  Process() {
    DiffusionExecutorOptions options;
    options.shelf = ShelfOf({MakeFakeBundle("fake", &script_)});
    options.device = *OpenDevice("cpu", 1);
    options.limits = {.max_denoise_rows = 16};
    executor_ = std::make_unique<DiffusionExecutor>(std::move(options), metrics_);
  }

  StepExecutor& executor() { return *executor_; }

  StepResult Tick(Job& job) {
    StepPlan plan;
    plan.key = job.key();
    plan.jobs = {job.id()};
    Job* const jobs[] = {&job};
    StepResult result = executor_->Execute(plan, jobs).front();
    EXPECT_TRUE(result.status.ok()) << result.status;
    job.Advance();
    return result;
  }

  // To the end, or until so many evaluations are done.
  SharedImage Run(Job& job, int evaluations = -1) {
    SharedImage image;
    while (!job.done() && (job.evaluations_done() != evaluations || job.needs_encode())) image = Tick(job).image;
    return image;
  }

 private:
  FakeScript script_;
  NullEngineMetrics metrics_;
  std::unique_ptr<DiffusionExecutor> executor_;
};

std::unique_ptr<Job> Resumed(const Picture& picture, int evaluations, const SavedState& state) {
  const JobSpec whole = MakePictureSpec(MakePictureModel("fake"), picture, nullptr);
  auto request = std::make_shared<GenerationRequest>(*whole.request);
  request->resume = std::make_shared<const ResumePoint>(ResumePoint{.evaluations = evaluations, .state = *state});
  return std::make_unique<Job>(JobId{2}, MakeJobSpec(std::move(request), whole.recipe));
}

std::vector<Picture> Pictures() {
  std::vector<Picture> pictures;
  for (const Sampler sampler : {Sampler::kDdim, Sampler::kDdpm, Sampler::kEulerAncestral, Sampler::kHeun, Sampler::kLms,
                                Sampler::kDpmpp3m, Sampler::kUnipc, Sampler::kPndm}) {
    pictures.push_back({.steps = 5, .sampler = sampler, .seed = 7});
  }
  pictures.push_back({.steps = 5, .sampler = Sampler::kEulerAncestral, .guidance_end = 0.5, .seed = 3});
  pictures.push_back({.steps = 6, .sampler = Sampler::kEulerAncestral, .seed = 5, .brought = Brought{.strength = 0.8}});
  pictures.push_back({.steps = 5, .seed = 5, .brought = Brought{.strength = 1.0, .masked = true, .x0 = true}});
  pictures.push_back({.steps = 5, .seed = 5, .brought = Brought{.masked = true, .noise_fill = true}});
  pictures.push_back({.steps = 4, .seed = 5, .brought = Brought{.invert = true}});
  return pictures;
}

TEST(ResumeTest, AnyEvaluationIsAPlaceToGoOnFrom) {
  for (const Picture& picture : Pictures()) {
    const auto whole = MakePictureJob(1, MakePictureModel("fake"), picture);
    Process home;
    ASSERT_EQ(home.executor().Start(*whole), absl::OkStatus());
    const SharedImage expected = home.Run(*whole);
    ASSERT_NE(expected, nullptr);
    const int evaluations = whole->work().evaluations();
    for (int done = 1; done <= evaluations; ++done) {
      SCOPED_TRACE(absl::StrCat("sampler ", static_cast<int>(picture.sampler), ", ", done, " of ", evaluations));
      Process first;
      const auto interrupted = MakePictureJob(1, MakePictureModel("fake"), picture);
      ASSERT_EQ(first.executor().Start(*interrupted), absl::OkStatus());
      first.Run(*interrupted, done);
      const absl::StatusOr<SavedState> saved = first.executor().Save(*interrupted);
      ASSERT_TRUE(saved.ok()) << saved.status();
      ASSERT_NE(*saved, nullptr);
      Process second;
      const auto resumed = Resumed(picture, done, *saved);
      ASSERT_EQ(second.executor().Start(*resumed), absl::OkStatus());
      EXPECT_EQ(resumed->evaluations_done(), done);
      const SharedImage image = second.Run(*resumed);
      ASSERT_NE(image, nullptr);
      EXPECT_EQ(image->pixels, expected->pixels);
      EXPECT_EQ(first.Run(*interrupted)->pixels, expected->pixels) << "saving changes nothing";
    }
  }
}

TEST(ResumeTest, AParkedJobIsSavedAsItIs) {
  const Picture picture{.steps = 4, .sampler = Sampler::kDpmpp2m, .seed = 9};
  const auto job = MakePictureJob(1, MakePictureModel("fake"), picture);
  Process process;
  ASSERT_EQ(process.executor().Start(*job), absl::OkStatus());
  process.Run(*job, 2);
  const SavedState before = *process.executor().Save(*job);
  ASSERT_EQ(process.executor().Park(*job->state()), absl::OkStatus());
  EXPECT_EQ(*process.executor().Save(*job).value(), *before);
}

TEST(ResumeTest, BeforeTheFirstEvaluationThereIsNothingToSave) {
  const auto job = MakePictureJob(1, MakePictureModel("fake"), {});
  Process process;
  EXPECT_EQ(process.executor().Save(*job).value(), nullptr);
  ASSERT_EQ(process.executor().Start(*job), absl::OkStatus());
  EXPECT_EQ(process.executor().Save(*job).value(), nullptr);
}

TEST(ResumeTest, CheckpointsComeWhenTheyAreDue) {
  const JobSpec whole = MakePictureSpec(MakePictureModel("fake"), {.steps = 6}, nullptr);
  auto request = std::make_shared<GenerationRequest>(*whole.request);
  request->checkpoint_every = 2;
  Job job(JobId{1}, MakeJobSpec(std::move(request), whole.recipe));
  Process process;
  ASSERT_EQ(process.executor().Start(job), absl::OkStatus());
  std::vector<int> saved;
  while (!job.done()) {
    if (process.Tick(job).saved != nullptr) saved.push_back(job.evaluations_done());
  }
  EXPECT_THAT(saved, testing::ElementsAre(2, 4)) << "the last evaluation is followed by the picture";
}

TEST(ResumeTest, WhatIsOfAnotherPictureIsRefused) {
  const auto job = MakePictureJob(1, MakePictureModel("fake"), {.steps = 4});
  Process process;
  ASSERT_EQ(process.executor().Start(*job), absl::OkStatus());
  process.Run(*job, 2);
  const SavedState saved = *process.executor().Save(*job);
  const auto refused = [&](const Picture& picture, std::string state) {
    const auto resumed = Resumed(picture, 2, std::make_shared<const std::string>(std::move(state)));
    return process.executor().Start(*resumed).code();
  };
  EXPECT_EQ(refused({.width = 64, .steps = 4}, *saved), absl::StatusCode::kInvalidArgument) << "another size";
  EXPECT_EQ(refused({.steps = 4, .sampler = Sampler::kLms}, *saved), absl::StatusCode::kInvalidArgument)
      << "other slots";
  for (const size_t size : {size_t{0}, size_t{8}, saved->size() - 1}) {
    EXPECT_EQ(refused({.steps = 4}, saved->substr(0, size)), absl::StatusCode::kInvalidArgument) << size << " bytes";
  }
  EXPECT_EQ(refused({.steps = 4}, *saved + "x"), absl::StatusCode::kInvalidArgument);
}

TEST(SavedJobTest, EveryByteOfTheHeadIsCheckedOrKept) {
  SavedJob job{.stage = 1, .begun = true, .shape = {2, 4, 8, 8}};
  job.generator.next_word = 17;
  job.generator.next_normal = 0.25;
  const std::vector<float> values(512, 1.5f);
  const std::string bytes = EncodeSaved(job, values);
  const absl::StatusOr<SavedJob> read = DecodeSaved(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(EncodeSaved(*read, read->values), bytes);
  for (size_t i = 0; i < 64; ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x80);
    const absl::StatusOr<SavedJob> odd = DecodeSaved(damaged);  // must not crash, whatever it says
    EXPECT_EQ(odd.ok() ? odd->values.size() : 512u, 512u) << i;
  }
}

}  // namespace
}  // namespace stepcast::engine
