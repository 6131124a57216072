#include "server/operators/tick_feed.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

const absl::Time kStart = absl::UnixEpoch();

SharedTick Tick(int64_t plan, const std::string& device = "cpu") {
  auto tick = std::make_shared<TickRecord>();
  tick->device = device;
  tick->plan.id = plan;
  return tick;
}

TEST(TickWatchTest, TheOldestGiveWayAndAreCounted) {
  std::atomic<int> wakes{0};
  TickWatch watch("", [&wakes] { ++wakes; }, /*max_queued=*/2);
  EXPECT_EQ(watch.Take(), nullptr);
  for (int64_t plan = 1; plan <= 5; ++plan) watch.Push(Tick(plan));
  EXPECT_EQ(wakes, 1) << "only when it stops being empty";
  EXPECT_EQ(watch.dropped(), 3);
  EXPECT_EQ(watch.Take()->plan.id, 4);
  EXPECT_EQ(watch.Take()->plan.id, 5);
  EXPECT_EQ(watch.Take(), nullptr);
  watch.Push(Tick(6));
  EXPECT_EQ(wakes, 2);
  EXPECT_EQ(watch.dropped(), 3);
}

TEST(TickWatchTest, OneDeviceOrAll) {
  TickWatch one("cuda:1", [] {});
  TickWatch all("", [] {});
  for (TickWatch* watch : {&one, &all}) {
    watch->Push(Tick(1, "cuda:0"));
    watch->Push(Tick(2, "cuda:1"));
  }
  EXPECT_EQ(one.Take()->plan.id, 2);
  EXPECT_EQ(one.Take(), nullptr);
  EXPECT_EQ(all.Take()->plan.id, 1);
}

class TickFeedTest : public testing::Test {
 protected:
  // Two jobs at positions 1 and 3, as the engine would show them.
  TickFeedTest() {
    const auto sink = std::make_shared<RecordingSink>();
    jobs_.push_back(MakeJobAt(7, {.steps = 4}, 1, sink));
    jobs_.push_back(MakeJobAt(9, {.steps = 4}, 3, sink));
    plan_.id = 12;
    plan_.key = jobs_[0]->key();
    plan_.rows = 4;
    plan_.predicted = absl::Milliseconds(30);
  }
  void Plan(SchedulerObserver& observer) {
    std::vector<Job*> jobs;
    for (const auto& job : jobs_) jobs.push_back(job.get());
    observer.OnPlan(plan_, kStart);
    if (observer.wants_jobs()) observer.OnPlanJobs(plan_, jobs, kStart);
  }
  void Complete(SchedulerObserver& observer) {
    std::vector<StepResult> results(2);
    results[1].status = absl::InternalError("broken");
    observer.OnComplete(plan_, results, kStart + absl::Milliseconds(25));
  }

  TickFeed feed_;
  StepPlan plan_;
  std::vector<std::unique_ptr<Job>> jobs_;
};

TEST_F(TickFeedTest, NobodyWatchesAndNothingIsAskedFor) {
  const auto observer = feed_.ObserverOf("cpu");
  EXPECT_FALSE(observer->wants_jobs());
  Plan(*observer);
  Complete(*observer);
}

TEST_F(TickFeedTest, ATickIsTheJobsBeforeItAndWhatBecameOfThem) {
  const auto observer = feed_.ObserverOf("cpu");
  const auto watch = std::make_shared<TickWatch>("", [] {});
  feed_.Add(watch);
  Plan(*observer);
  EXPECT_EQ(watch->Take(), nullptr) << "not before it is over";
  jobs_[0]->Advance();  // what the scheduler does meanwhile is not shown
  Complete(*observer);
  const SharedTick tick = watch->Take();
  ASSERT_NE(tick, nullptr);
  EXPECT_EQ(tick->device, "cpu");
  EXPECT_EQ(tick->plan.id, 12);
  EXPECT_EQ(tick->plan.predicted, absl::Milliseconds(30));
  EXPECT_EQ(tick->measured, absl::Milliseconds(25));
  EXPECT_EQ(tick->start, kStart);
  ASSERT_EQ(tick->parts.size(), 2u);
  EXPECT_EQ(tick->parts[0].job, JobId{7});
  EXPECT_EQ(tick->parts[0].position, 1);
  EXPECT_EQ(tick->parts[0].evaluations, 4);
  EXPECT_EQ(tick->parts[0].rows, 2);
  EXPECT_EQ(tick->parts[0].whole_rows, 2);
  EXPECT_FALSE(tick->parts[0].failed);
  EXPECT_EQ(tick->parts[1].position, 3);
  EXPECT_TRUE(tick->parts[1].failed);
}

TEST_F(TickFeedTest, WhoComesInTheMiddleOfATickGetsTheNext) {
  const auto observer = feed_.ObserverOf("cpu");
  Plan(*observer);
  const auto watch = std::make_shared<TickWatch>("", [] {});
  feed_.Add(watch);
  Complete(*observer);
  EXPECT_EQ(watch->Take(), nullptr);
  Plan(*observer);
  Complete(*observer);
  EXPECT_NE(watch->Take(), nullptr);
  feed_.Remove(watch);
  EXPECT_FALSE(observer->wants_jobs());
}

TEST_F(TickFeedTest, EveryWatcherHasItsOwnQueue) {
  const auto observer = feed_.ObserverOf("cpu");
  const auto quick = std::make_shared<TickWatch>("", [] {});
  const auto slow = std::make_shared<TickWatch>("", [] {}, /*max_queued=*/1);
  feed_.Add(quick);
  feed_.Add(slow);
  for (int i = 0; i < 3; ++i) {
    Plan(*observer);
    Complete(*observer);
    EXPECT_NE(quick->Take(), nullptr);
  }
  EXPECT_EQ(quick->dropped(), 0);
  EXPECT_EQ(slow->dropped(), 2);
}

}  // namespace
}  // namespace stepcast
