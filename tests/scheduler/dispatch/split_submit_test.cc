#include "scheduler/dispatch/split_submit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error_reason.h"
#include "tests/support/decision.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SplitSubmitTest : public testing::Test {
 protected:
  void Start(int max_queued_a, int max_queued_b) {
    const int limits[] = {max_queued_a, max_queued_b};
    for (int i = 0; i < 2; ++i) {
      EngineLoopOptions options;
      options.admission.max_queued_jobs = limits[i];
      options.id_first = i + 1;
      options.id_stride = 2;
      auto loop = EngineLoop::Create(options, MakeFakeExecutor(devices_[i]), clock_, metrics_);
      ASSERT_TRUE(loop.ok()) << loop.status();
      loops_[i] = *std::move(loop);
    }
  }
  ~SplitSubmitTest() override {
    for (FakeDevice& device : devices_) device.Release();
  }

  // Images 0 and 2 to the first loop, 1 and 3 to the second.
  std::vector<RequestPart> Halves() {
    std::vector<RequestPart> parts = {{.loop = loops_[0].get()}, {.loop = loops_[1].get()}};
    for (JobSpec& spec : MakeSpecs({.steps = 2, .image_count = 4}, sink_)) {
      parts[static_cast<size_t>(spec.image_index % 2)].specs.push_back(std::move(spec));
    }
    return parts;
  }

  SimulatedClock clock_;
  NullEngineMetrics metrics_;
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  FakeDevice devices_[2];
  std::unique_ptr<EngineLoop> loops_[2];
};

TEST_F(SplitSubmitTest, AdmittedByBothInImageOrder) {
  Start(8, 8);
  Decision<Admission> decision;
  SubmitParts(Halves(), decision.Callback());
  ASSERT_TRUE(decision.Get().ok()) << decision.Get().status();
  EXPECT_THAT(decision.Get()->jobs, ElementsAre(JobId{1}, JobId{2}, JobId{3}, JobId{4}));
  ASSERT_TRUE(sink_->AwaitFinished(4));
  for (const JobId job : decision.Get()->jobs) {
    EXPECT_THAT(sink_->Story(job), ElementsAre("progress 1/2", "progress 2/2", "image", "finished OK")) << job;
  }
}

TEST_F(SplitSubmitTest, RefusedByOneIsRefusedByAllAndNobodyHearsOfIt) {
  Start(8, 1);
  Decision<Admission> decision;
  SubmitParts(Halves(), decision.Callback());
  EXPECT_EQ(ErrorReason(decision.Get().status()), "QUEUE_FULL");
  for (auto& loop : loops_) loop->Stop();
  EXPECT_THAT(sink_->events(), IsEmpty());
  EXPECT_EQ(devices_[0].live_states() + devices_[1].live_states(), 0);
}

TEST_F(SplitSubmitTest, EventsWaitForTheDecisionOfTheOther) {
  Start(8, 8);
  const auto earlier = std::make_shared<RecordingSink>();
  // The second loop stands where it reads no mail: it starts a job of an earlier request.
  Notification starts, go_on;
  devices_[1].SetStartFault([&](const Job& job) {
    if (job.spec().sink != earlier) return absl::OkStatus();
    starts.Notify();
    return go_on.Await() ? absl::OkStatus() : absl::InternalError("held for ever");
  });
  loops_[1]->Submit(MakeSpecs({.steps = 1}, earlier), [](const auto&) {});
  ASSERT_TRUE(starts.Await());
  Decision<Admission> decision;
  SubmitParts(Halves(), decision.Callback());
  // The first has done its half before the request is decided.
  ASSERT_TRUE(Await([this] { return devices_[0].plans() == 4 && loops_[0]->status().running == 0; }));
  EXPECT_FALSE(decision.made());
  EXPECT_THAT(sink_->events(), IsEmpty());
  go_on.Notify();
  ASSERT_TRUE(decision.Get().ok());
  ASSERT_TRUE(sink_->AwaitFinished(4));
  EXPECT_THAT(sink_->Story(JobId{1}), ElementsAre("progress 1/2", "progress 2/2", "image", "finished OK"));
}

TEST_F(SplitSubmitTest, DecidedWhileEveryLoopStandsInATick) {
  Start(8, 2);
  const auto earlier = std::make_shared<RecordingSink>();
  for (int i = 0; i < 2; ++i) {
    devices_[i].Hold();
    loops_[i]->Submit(MakeSpecs({.steps = 1}, earlier), [](const auto&) {});
    ASSERT_TRUE(devices_[i].AwaitHeld());
  }
  Decision<Admission> fits, too_many;
  SubmitParts(Halves(), fits.Callback());
  ASSERT_TRUE(fits.Get().ok()) << fits.Get().status();
  EXPECT_THAT(fits.Get()->jobs, ElementsAre(JobId{3}, JobId{4}, JobId{5}, JobId{6}));
  SubmitParts(Halves(), too_many.Callback());
  EXPECT_EQ(ErrorReason(too_many.Get().status()), "QUEUE_FULL");
  // What the first loop had let in of it is gone before the tick is over.
  ASSERT_TRUE(Await([this] { return loops_[0]->status().waiting == 2; }));
  EXPECT_EQ(devices_[0].plans() + devices_[1].plans(), 2) << "all of that within the two ticks";
  for (FakeDevice& device : devices_) device.Release();
  ASSERT_TRUE(sink_->AwaitFinished(4));
  for (auto& loop : loops_) loop->Stop();
  EXPECT_EQ(sink_->finished(), 4);
}

TEST_F(SplitSubmitTest, OnePartIsThatLoopsAnswer) {
  Start(8, 8);
  Decision<Admission> decision;
  std::vector<RequestPart> parts;
  parts.push_back({.loop = loops_[1].get(), .specs = MakeSpecs({.steps = 1}, sink_)});
  SubmitParts(std::move(parts), decision.Callback());
  ASSERT_TRUE(decision.Get().ok());
  EXPECT_THAT(decision.Get()->jobs, ElementsAre(JobId{2}));
  ASSERT_TRUE(sink_->AwaitFinished(1));
}

TEST_F(SplitSubmitTest, AnEstimateAdmitsNothing) {
  Start(8, 1);
  Decision<AdmissionVerdict> refused;
  EstimateParts(Halves(), refused.Callback());
  EXPECT_EQ(ErrorReason(refused.Get().status()), "QUEUE_FULL");
  Decision<AdmissionVerdict> fine;
  std::vector<RequestPart> parts = Halves();
  parts[1].specs.pop_back();
  EstimateParts(std::move(parts), fine.Callback());
  EXPECT_TRUE(fine.Get().ok()) << fine.Get().status();
  for (auto& loop : loops_) loop->Stop();
  EXPECT_EQ(devices_[0].plans() + devices_[1].plans(), 0);
  EXPECT_THAT(sink_->events(), IsEmpty());
}

TEST(MilderRefusalTest, RoomMayComeAndTheSoonerTheBetter) {
  const absl::Status lost = WithReason(absl::UnavailableError("lost"), "DEVICE_LOST");
  const auto full = [](int seconds) {
    return WithRetryDelay(WithReason(absl::ResourceExhaustedError("full"), "QUEUE_FULL"), absl::Seconds(seconds));
  };
  const absl::Status someday = absl::ResourceExhaustedError("full");
  EXPECT_EQ(MilderRefusal(absl::OkStatus(), lost), lost);
  EXPECT_EQ(MilderRefusal(lost, absl::OkStatus()), lost);
  EXPECT_EQ(MilderRefusal(lost, full(9)), full(9));
  EXPECT_EQ(MilderRefusal(full(9), lost), full(9));
  EXPECT_EQ(MilderRefusal(full(9), full(3)), full(3));
  EXPECT_EQ(MilderRefusal(full(3), full(9)), full(3));
  EXPECT_EQ(MilderRefusal(someday, full(9)), full(9));
}

}  // namespace
}  // namespace stepcast
