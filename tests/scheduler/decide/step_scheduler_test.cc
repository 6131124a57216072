#include "scheduler/decide/step_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error_reason.h"
#include "tests/support/counted_state.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::Time kStart = absl::UnixEpoch();
absl::Time At(double seconds) { return kStart + absl::Seconds(seconds); }

class CountingMetrics final : public EngineMetrics {
 public:
  void ObserveTick(std::string_view, std::string_view, int, int, absl::Duration) override {}
  void SetQueue(int, int) override {}
  void CountJob(std::string_view model, std::string_view outcome, absl::Duration since_arrival) override {
    jobs.push_back(std::string(model) + " " + std::string(outcome) + " " + absl::FormatDuration(since_arrival));
  }
  void CountEmbeddingLookup(bool) override {}
  std::vector<std::string> jobs;
};

class StepSchedulerTest : public testing::Test {
 protected:
  void Use(const std::string& policy, ExecutorLimits limits = {}) {
    scheduler_ = std::make_unique<StepScheduler>(
        *MakePolicy({.name = policy}), StepSchedulerOptions{.limits = limits, .checks = InvariantChecks::kEveryCall},
        metrics_);
  }
  void SetUp() override { Use("fifo"); }

  // A job that is past its encode, with `position` evaluations done.
  void Submit(int64_t id, const TestJob& job = {}, int position = 0, double now = 0) {
    std::vector<std::unique_ptr<Job>> jobs;
    jobs.push_back(position < 0 ? MakeJob(id, job, sink_) : MakeJobAt(id, job, position, sink_));
    jobs.back()->set_state(std::make_unique<CountedState>(states_));
    scheduler_->Submit(std::move(jobs), At(now));
  }

  static std::vector<StepResult> Good(const StepPlan& plan) {
    std::vector<StepResult> results(plan.jobs.size());
    for (StepResult& result : results) {
      if (plan.phase() == Phase::kDecode) result.image = std::make_shared<Image>();
    }
    return results;
  }

  // Plans and completes one good tick of a second; returns the plan as text.
  std::string Tick(double now) {
    const StepPlan plan = scheduler_->Next(At(now));
    if (!plan.empty()) scheduler_->Complete(plan, Good(plan), At(now + 1));
    return plan.ToString();
  }

  NullEngineMetrics ignored_;
  CountingMetrics metrics_;
  int states_ = 0;
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::unique_ptr<StepScheduler> scheduler_;
};

TEST_F(StepSchedulerTest, AJobLivesFromEncodeToPicture) {
  Submit(1, {.steps = 2, .arrival = kStart}, -1, 0);
  EXPECT_EQ(scheduler_->waiting(), 1);
  EXPECT_EQ(Tick(3), "#1 encode:emoji rows=1 jobs=1");
  EXPECT_EQ(scheduler_->waiting(), 0);
  EXPECT_EQ(Tick(4), "#2 denoise:emoji:16x16 rows=2 jobs=1");
  EXPECT_EQ(Tick(5), "#3 denoise:emoji:16x16 rows=2 jobs=1");
  EXPECT_EQ(states_, 1);
  EXPECT_EQ(Tick(6), "#4 decode:emoji:16x16 rows=1 jobs=1");
  EXPECT_EQ(Tick(7), "idle");
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("progress 1/2", "progress 2/2", "image", "finished OK"));
  EXPECT_EQ(states_, 0);
  EXPECT_EQ(scheduler_->live(), 0);
  EXPECT_THAT(metrics_.jobs, ElementsAre("emoji succeeded 7s"));
}

TEST_F(StepSchedulerTest, StatisticsTellWhereTheTimeWent) {
  Submit(1, {.steps = 2, .arrival = At(0)}, -1, 1);
  Submit(2, {.steps = 2, .guidance_scale = 1.0}, 0, 1);
  for (double now = 3; Tick(now) != "idle"; ++now) {
  }
  const auto ends = sink_->Of<JobFinished>(JobId{1});
  ASSERT_EQ(ends.size(), 1u);
  const JobStatistics& one = ends[0].statistics;
  EXPECT_EQ(one.queued, absl::Seconds(3));
  EXPECT_EQ(one.encode, absl::Seconds(1));
  EXPECT_EQ(one.denoise, absl::Seconds(2));
  EXPECT_EQ(one.decode, absl::Seconds(1));
  EXPECT_EQ(one.evaluations, 2);
  EXPECT_EQ(one.denoise_ticks, 2);
  EXPECT_GE(one.rows_in_company, 4);
  EXPECT_EQ(sink_->Of<JobFinished>(JobId{2})[0].statistics.queued, absl::Seconds(3))
      << "without an arrival time the queue counts from Submit";
}

TEST_F(StepSchedulerTest, CompanyIsCountedInRows) {
  Submit(1, {.steps = 1});
  Submit(2, {.steps = 1, .guidance_scale = 1.0});
  EXPECT_EQ(Tick(0), "#1 denoise:emoji:16x16 rows=3 jobs=1,2");
  EXPECT_EQ(Tick(1), "#2 decode:emoji:16x16 rows=2 jobs=1,2");
  for (const int64_t id : {1, 2}) EXPECT_EQ(sink_->Of<JobFinished>(JobId{id})[0].statistics.rows_in_company, 3);
}

TEST_F(StepSchedulerTest, PreviewsFollowTheirProgress) {
  Submit(1, {.steps = 3, .preview_every = 1});
  const StepPlan plan = scheduler_->Next(kStart);
  std::vector<StepResult> results(1);
  results[0].preview = std::make_shared<Image>();
  scheduler_->Complete(plan, std::move(results), At(1));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("progress 1/3", "preview 1"));
}

TEST_F(StepSchedulerTest, AFailedRowFailsItsJobOnly) {
  for (const StepResult& bad :
       {StepResult{.status = absl::InternalError("nan")}, StepResult{.status = absl::UnavailableError("lost")}}) {
    SetUp();
    sink_ = std::make_shared<RecordingSink>();
    Submit(1);
    Submit(2);
    const StepPlan plan = scheduler_->Next(kStart);
    std::vector<StepResult> results(2);
    results[0].status = bad.status;
    scheduler_->Complete(plan, std::move(results), At(1));
    EXPECT_EQ(sink_->StatusOf(JobId{1}), bad.status);
    EXPECT_THAT(sink_->Story(JobId{2}), ElementsAre("progress 1/4"));
    EXPECT_EQ(states_, 1);
    scheduler_->CancelAll(absl::CancelledError(""), At(2));
  }
}

TEST_F(StepSchedulerTest, AMissingResultOrPictureIsAnInternalError) {
  Submit(1);
  Submit(2);
  scheduler_->Complete(scheduler_->Next(kStart), std::vector<StepResult>(1), At(1));
  EXPECT_EQ(sink_->StatusOf(JobId{2}),
            WithReason(absl::InternalError("the executor returned no result for this job"), "ENGINE_ERROR"));
  Submit(3, {.steps = 1}, 1);
  EXPECT_EQ(scheduler_->Next(At(2)).ToString(), "#2 decode:emoji:16x16 rows=1 jobs=3");
  StepPlan decode;
  decode.id = 2;
  scheduler_->Complete(decode, std::vector<StepResult>(1), At(3));
  EXPECT_EQ(sink_->StatusOf(JobId{3}),
            WithReason(absl::InternalError("the executor decoded no picture"), "ENGINE_ERROR"));
}

TEST_F(StepSchedulerTest, AWaitingJobIsCancelledAtOnce) {
  Submit(1);
  scheduler_->Cancel(JobId{1}, absl::CancelledError("enough"), At(2));
  EXPECT_EQ(sink_->StatusOf(JobId{1}), absl::CancelledError("enough"));
  EXPECT_EQ(scheduler_->waiting(), 0);
  EXPECT_EQ(states_, 0);
  EXPECT_EQ(Tick(2), "idle");
  EXPECT_THAT(metrics_.jobs, ElementsAre("emoji cancelled 2s"));
}

TEST_F(StepSchedulerTest, ACancelDuringATickDropsTheResultAndFreesTheRows) {
  Use("fifo", {.max_denoise_rows = 2});
  Submit(1);
  Submit(2);
  const StepPlan plan = scheduler_->Next(kStart);
  EXPECT_EQ(plan.ToString(), "#1 denoise:emoji:16x16 rows=2 jobs=1");
  scheduler_->Cancel(JobId{1}, absl::CancelledError("enough"), kStart);
  scheduler_->Cancel(JobId{1}, absl::InternalError("the first reason counts"), kStart);
  EXPECT_THAT(sink_->events(), IsEmpty()) << "its tensors are in use until the tick is over";
  EXPECT_EQ(states_, 2);
  scheduler_->Complete(plan, Good(plan), At(1));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("finished CANCELLED"));
  EXPECT_EQ(states_, 1);
  EXPECT_EQ(Tick(1), "#2 denoise:emoji:16x16 rows=2 jobs=2");
}

TEST_F(StepSchedulerTest, ACancelDuringTheDecodeWins) {
  Submit(1, {.steps = 1}, 1);
  const StepPlan plan = scheduler_->Next(kStart);
  scheduler_->Cancel(JobId{1}, absl::CancelledError(""), kStart);
  scheduler_->Complete(plan, Good(plan), At(1));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("finished CANCELLED"));
}

TEST_F(StepSchedulerTest, UnknownAndFinishedIdsAreIgnored) {
  Submit(1, {.steps = 1}, 1);
  Tick(0);
  scheduler_->Cancel(JobId{1}, absl::CancelledError(""), At(1));
  scheduler_->Cancel(JobId{99}, absl::CancelledError(""), At(1));
  scheduler_->Fail(JobId{99}, absl::InternalError(""), At(1));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("image", "finished OK"));
}

TEST_F(StepSchedulerTest, ADeadlineIsCheckedAtEveryPlan) {
  Submit(1, {.deadline = At(10)}, 0);
  Submit(2, {.steps = 1, .deadline = At(11)}, 1);
  EXPECT_EQ(scheduler_->NextEvent(), At(5)) << "the first heartbeat comes before the first deadline";
  EXPECT_EQ(Tick(9), "#1 denoise:emoji:16x16 rows=2 jobs=1");
  EXPECT_EQ(Tick(11), "idle") << "no decode for a picture that nobody can receive in time";
  for (const int64_t id : {1, 2}) EXPECT_EQ(sink_->StatusOf(JobId{id})->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(metrics_.jobs.size(), 2u);
  EXPECT_EQ(metrics_.jobs[0], "emoji expired 11s");
}

TEST_F(StepSchedulerTest, ADeadlineDuringATickEndsTheJobWithTheTick) {
  Submit(1, {.deadline = At(2)});
  Submit(2, {.width = 32});
  const StepPlan first = scheduler_->Next(kStart);
  const StepPlan second = scheduler_->Next(At(3));
  EXPECT_EQ(second.ToString(), "#2 denoise:emoji:16x8 rows=2 jobs=2") << "two plans may be in flight";
  EXPECT_THAT(sink_->events(), IsEmpty());
  scheduler_->Complete(first, Good(first), At(4));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("finished DEADLINE_EXCEEDED"));
  scheduler_->Complete(second, Good(second), At(5));
  EXPECT_THAT(sink_->Story(JobId{2}), ElementsAre("progress 1/4"));
}

TEST_F(StepSchedulerTest, SiblingsOfAFailedJobGoOn) {
  std::vector<std::unique_ptr<Job>> jobs;
  std::vector<JobSpec> specs = MakeSpecs({.steps = 1, .image_count = 3}, sink_);
  for (int64_t id = 1; id <= 3; ++id)
    jobs.push_back(std::make_unique<Job>(JobId{id}, specs[static_cast<size_t>(id - 1)]));
  scheduler_->Submit(std::move(jobs), kStart);
  const StepPlan encode = scheduler_->Next(kStart);
  std::vector<StepResult> results(3);
  results[1].status = absl::InternalError("bad prompt");
  scheduler_->Complete(encode, std::move(results), At(1));
  while (Tick(2) != "idle") {
  }
  EXPECT_TRUE(sink_->StatusOf(JobId{1})->ok());
  EXPECT_EQ(sink_->StatusOf(JobId{2}), absl::InternalError("bad prompt"));
  EXPECT_TRUE(sink_->StatusOf(JobId{3})->ok());
}

TEST_F(StepSchedulerTest, AFailedStartEndsTheJobAsFailed) {
  Submit(1);
  scheduler_->Fail(JobId{1}, absl::InternalError("no embedding"), At(1));
  EXPECT_EQ(sink_->StatusOf(JobId{1}), absl::InternalError("no embedding"));
  EXPECT_THAT(metrics_.jobs, ElementsAre("emoji failed 1s"));
}

TEST_F(StepSchedulerTest, HeartbeatsTellThoseWhoHeardNothing) {
  Use("serial");
  for (int64_t id = 1; id <= 3; ++id) Submit(id, {.steps = 100});
  Tick(0);
  scheduler_->Heartbeat(At(1));
  EXPECT_THAT(sink_->Story(JobId{2}), IsEmpty()) << "not yet due";
  EXPECT_EQ(scheduler_->NextEvent(), At(5));
  scheduler_->Heartbeat(At(5));
  const auto second = sink_->Of<JobProgress>(JobId{2});
  const auto third = sink_->Of<JobProgress>(JobId{3});
  ASSERT_EQ(second.size(), 1u);
  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(second[0].queue_position, 0);
  EXPECT_EQ(third[0].queue_position, 1);
  EXPECT_EQ(third[0].evaluations_done, 0);
  EXPECT_EQ(scheduler_->NextEvent(), At(10));
  scheduler_->Heartbeat(At(7));
  EXPECT_EQ(sink_->Of<JobProgress>(JobId{2}).size(), 1u);
  scheduler_->Heartbeat(At(10));
  EXPECT_EQ(sink_->Of<JobProgress>(JobId{2}).size(), 2u);
  EXPECT_EQ(sink_->Of<JobProgress>(JobId{1}).back().queue_position, 0);
}

TEST_F(StepSchedulerTest, NothingHappensByItselfWithoutJobs) {
  EXPECT_EQ(scheduler_->NextEvent(), absl::InfiniteFuture());
  EXPECT_EQ(Tick(0), "idle");
}

TEST_F(StepSchedulerTest, AGroupStaysTogetherUntilItsLastMemberHasLeft) {
  Use("request_level", {.max_denoise_rows = 4, .max_decode_jobs = 1});
  for (int64_t id = 1; id <= 3; ++id) Submit(id, {.steps = 1});
  EXPECT_EQ(Tick(0), "#1 denoise:emoji:16x16 rows=4 jobs=1,2 group=1,2");
  EXPECT_EQ(Tick(1), "#2 decode:emoji:16x16 rows=1 jobs=1");
  EXPECT_EQ(Tick(2), "#3 decode:emoji:16x16 rows=1 jobs=2");
  EXPECT_EQ(Tick(3), "#4 denoise:emoji:16x16 rows=2 jobs=3 group=3");
}

TEST_F(StepSchedulerTest, ACancelledGroupMemberLeavesTheGroup) {
  Use("request_level", {.max_denoise_rows = 4});
  for (int64_t id = 1; id <= 3; ++id) Submit(id);
  EXPECT_EQ(Tick(0), "#1 denoise:emoji:16x16 rows=4 jobs=1,2 group=1,2");
  scheduler_->CancelAll(absl::CancelledError(""), At(1));
  EXPECT_THAT(scheduler_->Snapshot().group, IsEmpty());
  Submit(4);
  EXPECT_EQ(Tick(2), "#2 denoise:emoji:16x16 rows=2 jobs=4 group=4");
}

TEST_F(StepSchedulerTest, DestroyedWithLiveJobsItStillEndsThem) {
  Submit(1);
  Submit(2);
  const StepPlan plan = scheduler_->Next(kStart);
  scheduler_.reset();
  for (const int64_t id : {1, 2}) EXPECT_THAT(sink_->Story(JobId{id}), ElementsAre("finished INTERNAL"));
  EXPECT_EQ(states_, 0);
}

TEST_F(StepSchedulerTest, TicksTeachTheCostModel) {
  const BatchKey key{Phase::kDenoise, "emoji", 16, 16};
  Submit(1);
  Tick(0);
  EXPECT_EQ(scheduler_->costs().Predict(key, 2), absl::Seconds(1));
  EXPECT_EQ(scheduler_->Next(At(2)).predicted, absl::Seconds(1));
}

TEST_F(StepSchedulerTest, AfterAPauseTheFirstJobIsNotGivenUp) {
  Use("slo");
  Submit(1, {.steps = 1});
  Tick(0);
  Tick(1);
  ASSERT_EQ(scheduler_->live(), 0);
  const TestJob hurried{.steps = 4, .arrival = At(20), .deadline = At(22)};  // four seconds by what was measured
  Submit(2, hurried, 0, 20);
  Submit(3, hurried, 0, 20);
  const StepPlan plan = scheduler_->Next(At(20));
  EXPECT_THAT(plan.jobs, ElementsAre(JobId{2})) << "3 cannot make it as far as is known";
  EXPECT_EQ(scheduler_->live(), 1);
  scheduler_->Complete(plan, Good(plan), At(20.5));
}

TEST_F(StepSchedulerTest, PreviewsArePartOfATickAndNotOfTheDenoisersCost) {
  const BatchKey denoise{Phase::kDenoise, "emoji", 16, 16};
  const BatchKey preview{Phase::kPreview, "emoji", 16, 16};
  scheduler_->SetCurve(denoise, {{2, absl::Seconds(0.9)}});
  scheduler_->SetCurve(preview, {{1, absl::Milliseconds(100)}});
  Submit(1, {.preview_every = 1}, 0);
  StepPlan plan = scheduler_->Next(At(0));
  ASSERT_TRUE(plan.previews.empty()) << "a tenth of 0.9 s is not enough for it";
  scheduler_->Complete(plan, Good(plan), At(0.9));
  plan = scheduler_->Next(At(1));
  ASSERT_THAT(plan.previews, ElementsAre(JobId{1}));
  EXPECT_EQ(plan.predicted, absl::Seconds(1.0));
  scheduler_->Complete(plan, Good(plan), At(2.0));
  EXPECT_EQ(scheduler_->costs().Predict(denoise, 2), absl::Seconds(0.9));
}

TEST_F(StepSchedulerTest, AnObserverHearsEveryInputAndOutput) {
  class Recorder final : public SchedulerObserver {
   public:
    void OnSubmit(const Job& job, absl::Time) override { log.push_back("submit " + std::to_string(job.id().value)); }
    void OnLeave(JobId job, const absl::Status&, absl::Time) override {
      log.push_back("leave " + std::to_string(job.value));
    }
    void OnPlan(const StepPlan& plan, absl::Time) override { log.push_back(plan.ToString()); }
    void OnComplete(const StepPlan& plan, absl::Span<const StepResult> results, absl::Time) override {
      log.push_back("complete " + std::to_string(plan.id) + " " + std::to_string(results.size()));
    }
    std::vector<std::string> log;
  };
  Recorder recorder;
  scheduler_ = std::make_unique<StepScheduler>(*MakePolicy({}), StepSchedulerOptions{.observer = &recorder}, metrics_);
  Submit(1);
  Submit(2);
  scheduler_->Cancel(JobId{2}, absl::CancelledError(""), At(0));
  scheduler_->Cancel(JobId{7}, absl::CancelledError(""), At(0));
  Tick(0);
  scheduler_->Fail(JobId{1}, absl::InternalError(""), At(2));
  EXPECT_EQ(Tick(3), "idle");
  EXPECT_THAT(recorder.log, ElementsAre("submit 1", "submit 2", "leave 2", "#1 denoise:emoji:16x16 rows=2 jobs=1",
                                        "complete 1 1", "leave 1"));
}

TEST_F(StepSchedulerTest, CompletingAPlanTwiceAborts) {
  Submit(1);
  const StepPlan plan = scheduler_->Next(kStart);
  scheduler_->Complete(plan, Good(plan), At(1));
  EXPECT_DEATH(scheduler_->Complete(plan, Good(plan), At(1)), "plan 1 completed, but is not in flight");
}

}  // namespace
}  // namespace stepcast
