#include "scheduler/words/job.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

std::shared_ptr<EventSink> Sink() { return std::make_shared<RecordingSink>(); }

TEST(JobTest, AForbiddenMoveIsRefusedAndChangesNothing) {
  auto job = MakeJob(7, {}, Sink());
  const absl::Status status = job->MoveTo(JobStatus::kSucceeded);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "job 7 cannot go from waiting to succeeded");
  EXPECT_EQ(job->status(), JobStatus::kWaiting);
  EXPECT_TRUE(job->MoveTo(JobStatus::kEncoding).ok());
  EXPECT_EQ(job->status(), JobStatus::kEncoding);
}

TEST(JobTest, GoesThroughItsPhasesWithTheirKeysAndRows) {
  auto job = MakeJob(1, {.width = 96, .steps = 2, .unguided_tail = 1}, Sink());
  EXPECT_EQ(job->key().ToString(), "encode:emoji");
  EXPECT_EQ(job->rows(), 1);
  job->set_needs_encode(false);
  EXPECT_EQ(job->key().ToString(), "denoise:emoji:16x24");
  EXPECT_EQ(job->rows(), 2);
  job->Advance();
  EXPECT_EQ(job->rows(), 1) << "outside the guidance interval an evaluation is one row";
  EXPECT_FALSE(job->denoised());
  job->Advance();
  EXPECT_TRUE(job->denoised());
  EXPECT_EQ(job->key().ToString(), "decode:emoji:16x24");
  EXPECT_EQ(job->rows(), 1);
}

TEST(JobTest, EachImageHasItsOwnSeed) {
  const auto specs = MakeSpecs({.seed = 40, .image_count = 3}, Sink());
  EXPECT_EQ(Job(JobId{1}, specs[0]).seed(), 40);
  EXPECT_EQ(Job(JobId{2}, specs[2]).seed(), 42);
}

TEST(JobTest, AStepWithTwoEvaluationsCountsOnce) {
  auto job = MakeJobAt(1, {.steps = 2, .evaluations_per_step = 2}, 0, Sink());
  std::vector<int> steps;
  for (int i = 0; i < 4; ++i) {
    steps.push_back(job->finished_steps());
    job->Advance();
  }
  steps.push_back(job->finished_steps());
  EXPECT_EQ(steps, (std::vector<int>{0, 0, 1, 1, 2}));
}

TEST(JobTest, PreviewsAreDueAtTheEndOfEveryNthStepButTheLast) {
  struct Case {
    int every, steps, evaluations_per_step;
    std::vector<int> positions;  // at which a preview is due
  };
  const Case cases[] = {
      {0, 6, 1, {}},     {1, 4, 1, {0, 1, 2}}, {2, 6, 1, {1, 3}}, {3, 6, 1, {2}}, {4, 4, 1, {}},
      {1, 3, 2, {1, 3}}, {2, 5, 2, {3, 7}},    {100, 4, 1, {}},   {1, 1, 1, {}},
  };
  for (const Case& c : cases) {
    auto job = MakeJobAt(
        1, {.steps = c.steps, .evaluations_per_step = c.evaluations_per_step, .preview_every = c.every}, 0, Sink());
    std::vector<int> due;
    for (; !job->denoised(); job->Advance()) {
      if (job->preview_due()) due.push_back(job->position());
    }
    EXPECT_EQ(due, c.positions) << "every " << c.every << " of " << c.steps << " x " << c.evaluations_per_step;
  }
}

}  // namespace
}  // namespace stepcast
