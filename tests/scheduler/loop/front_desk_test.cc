// What a loop does while a tick runs. Every test here holds a tick at the gate and lets go of it only in the end.

#include "scheduler/loop/front_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "tests/support/await.h"
#include "tests/support/decision.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class FrontDeskTest : public testing::Test {
 protected:
  ~FrontDeskTest() override { device_.Release(); }

  // Starts a loop and a job of its own, which stands in its first tick.
  void StartInATick(EngineLoopOptions options = {.policy = {.name = "serial"}}, int images = 1) {
    auto loop = EngineLoop::Create(options, MakeFakeExecutor(device_), clock_, metrics_);
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    device_.Hold();
    loop_->Submit(MakeSpecs({.steps = 1, .image_count = images}, first_), [](const auto&) {});
    ASSERT_TRUE(device_.AwaitHeld());
  }

  absl::StatusOr<Admission> Submit(const TestJob& job) {
    Decision<Admission> decision;
    loop_->Submit(MakeSpecs(job, sink_), decision.Callback());
    return decision.Get();
  }

  void Advance(absl::Duration duration) {
    clock_.Advance(duration);
    loop_->Wake();
  }

  SimulatedClock clock_;
  NullEngineMetrics metrics_;
  const std::shared_ptr<RecordingSink> first_ = std::make_shared<RecordingSink>();
  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  FakeDevice device_;
  std::unique_ptr<EngineLoop> loop_;
};

TEST_F(FrontDeskTest, RequestsAreDecided) {
  StartInATick({.policy = {.name = "serial"}, .admission = {.max_queued_jobs = 2}});
  const auto admitted = Submit({.image_count = 2});
  ASSERT_TRUE(admitted.ok()) << admitted.status();
  EXPECT_THAT(admitted->jobs, ElementsAre(JobId{2}, JobId{3}));
  EXPECT_EQ(admitted->queue_position, 0);
  EXPECT_EQ(loop_->status().waiting, 2) << "whoever places the next request knows of this one";
  EXPECT_EQ(ErrorReason(Submit({}).status()), "QUEUE_FULL");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Submit({.deadline = clock_.Now() - absl::Seconds(1)}).status()));
  Decision<AdmissionVerdict> verdict;
  loop_->Estimate(MakeSpecs({}, sink_), verdict.Callback());
  EXPECT_EQ(ErrorReason(verdict.Get().status()), "QUEUE_FULL");
  EXPECT_EQ(device_.plans(), 1);
  EXPECT_THAT(sink_->events(), IsEmpty());
  device_.Release();
  ASSERT_TRUE(sink_->AwaitFinished(2));
  for (const JobId job : admitted->jobs) EXPECT_TRUE(sink_->StatusOf(job)->ok()) << job;
}

TEST_F(FrontDeskTest, TheScheduleShowsWhoCameMeanwhile) {
  StartInATick();
  ASSERT_TRUE(Submit({.steps = 7}).ok());
  ScheduleView view;
  Notification done;
  loop_->Snapshot([&](ScheduleView now) {
    view = std::move(now);
    done.Notify();
  });
  ASSERT_TRUE(done.Await());
  ASSERT_EQ(view.jobs.size(), 2u);
  EXPECT_EQ(view.jobs[1].evaluations, 7);
  EXPECT_EQ(view.waiting, 1);
  EXPECT_EQ(view.running, 1);
  EXPECT_EQ(device_.plans(), 1);
}

TEST_F(FrontDeskTest, WhoWaitsIsCancelledAtOnceAndTensorsGoWithTheTick) {
  StartInATick({.policy = {.name = "serial"}, .admission = {.max_queued_jobs = 2}}, /*images=*/2);
  EXPECT_EQ(device_.live_states(), 2);
  loop_->Cancel(JobId{2}, absl::CancelledError("gone"));
  ASSERT_TRUE(first_->AwaitFinished(1));
  EXPECT_EQ(first_->StatusOf(JobId{2}), absl::CancelledError("gone"));
  ASSERT_TRUE(Await([this] { return loop_->status().waiting == 0; }));
  EXPECT_TRUE(Submit({.image_count = 2}).ok()) << "its place is free";
  EXPECT_EQ(device_.live_states(), 2) << "what the executor made is for its own thread to destroy";
  EXPECT_EQ(device_.plans(), 1);
  device_.Release();
  ASSERT_TRUE(sink_->AwaitFinished(2));
  loop_->Stop();
  EXPECT_EQ(device_.live_states(), 0);
  EXPECT_EQ(first_->finished(), 2);
}

TEST_F(FrontDeskTest, WhoComesAndGoesWithinATickIsNeverStarted) {
  StartInATick();
  std::atomic<int> starts{0};
  device_.SetStartFault([&](const Job&) {
    ++starts;
    return absl::OkStatus();
  });
  const auto admitted = Submit({});
  ASSERT_TRUE(admitted.ok());
  loop_->Cancel(admitted->jobs[0], absl::CancelledError(""));
  ASSERT_TRUE(sink_->AwaitFinished(1));
  device_.Release();
  ASSERT_TRUE(first_->AwaitFinished(1));
  loop_->Stop();
  EXPECT_EQ(starts, 0);
  EXPECT_EQ(sink_->finished(), 1);
}

TEST_F(FrontDeskTest, WhoWaitsHearsHeartbeats) {
  StartInATick();
  ASSERT_TRUE(Submit({.arrival = clock_.Now()}).ok());
  ASSERT_TRUE(Submit({.arrival = clock_.Now()}).ok());
  for (int beat = 1; beat <= 3; ++beat) {
    Advance(absl::Seconds(5));
    ASSERT_TRUE(sink_->AwaitEvents(2 * beat));
  }
  EXPECT_EQ(sink_->Of<JobProgress>(JobId{3}).back().queue_position, 1);
  EXPECT_EQ(device_.plans(), 1);
}

TEST_F(FrontDeskTest, ADeadlineEndsWhoWaits) {
  StartInATick();
  ASSERT_TRUE(Submit({.arrival = clock_.Now(), .deadline = clock_.Now() + absl::Seconds(3)}).ok());
  Advance(absl::Seconds(3));
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(*sink_->StatusOf(JobId{2})));
  EXPECT_EQ(device_.plans(), 1);
}

TEST_F(FrontDeskTest, ADrainRefusesAtOnceAndItsDeadlineEndsWhoWaits) {
  StartInATick();
  ASSERT_TRUE(Submit({}).ok());
  Notification drained;
  loop_->Drain(clock_.Now() + absl::Seconds(20), [&] { drained.Notify(); });
  EXPECT_EQ(ErrorReason(Submit({}).status()), "DRAINING");
  Advance(absl::Seconds(20));
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_EQ(ErrorReason(*sink_->StatusOf(JobId{2})), "DRAINING");
  EXPECT_FALSE(drained.notified()) << "the tick still runs";
  EXPECT_EQ(first_->finished(), 0);
  device_.Release();
  ASSERT_TRUE(drained.Await());
  EXPECT_EQ(ErrorReason(*first_->StatusOf(JobId{1})), "DRAINING");
}

TEST_F(FrontDeskTest, AStopAnswersWhoeverIsLeft) {
  StartInATick();
  Decision<Admission> decision;
  std::thread releaser;
  loop_->Submit(MakeSpecs({}, sink_),
                [&](absl::StatusOr<Admission> admission) { decision.Callback()(std::move(admission)); });
  ASSERT_TRUE(decision.Get().ok());
  releaser = std::thread([this] { device_.Release(); });
  loop_->Stop();
  releaser.join();
  EXPECT_EQ(first_->finished() + sink_->finished(), 2);
  EXPECT_EQ(device_.live_states(), 0);
}

TEST(FrontDeskWarmTest, WhoCameWithinATickAndIsKnownSkipsItsEncode) {
  SimulatedClock clock;
  NullEngineMetrics metrics;
  FakeDevice device({.embeddings_cached = true});
  auto loop = EngineLoop::Create({.policy = {.name = "serial"}}, MakeFakeExecutor(device), clock, metrics);
  ASSERT_TRUE(loop.ok());
  device.Hold();
  const auto sink = std::make_shared<RecordingSink>();
  (*loop)->Submit(MakeSpecs({.steps = 1}, sink), [](const auto&) {});
  ASSERT_TRUE(device.AwaitHeld());
  Decision<Admission> second;
  (*loop)->Submit(MakeSpecs({.steps = 1}, sink), second.Callback());
  ASSERT_TRUE(second.Get().ok());
  device.Release();
  ASSERT_TRUE(sink->AwaitFinished(2));
  EXPECT_THAT(device.PlanLog(), Not(Contains(testing::HasSubstr("encode"))));
}

// Two jobs on a device that holds one: the interactive one comes while the other is in its tick, and turns it out.
class FrontDeskParkTest : public testing::Test {
 protected:
  FrontDeskParkTest() {
    auto loop = EngineLoop::Create({.policy = {.name = "slo"}}, MakeFakeExecutor(device_), clock_, metrics_);
    if (loop.ok()) loop_ = *std::move(loop);
  }
  ~FrontDeskParkTest() override { device_.Release(); }

  void TurnOut(FakeDevice::ParkFault park) {
    ASSERT_NE(loop_, nullptr);
    device_.SetParkFault(std::move(park));
    device_.Hold();
    loop_->Submit(MakeSpecs({.steps = 3, .priority = Priority::kBatch}, parked_), [](const auto&) {});
    ASSERT_TRUE(device_.AwaitHeld());
    loop_->Submit(MakeSpecs({.steps = 1, .priority = Priority::kInteractive}, sink_), [](const auto&) {});
    device_.Release();
  }

  SimulatedClock clock_;
  NullEngineMetrics metrics_;
  const std::shared_ptr<RecordingSink> parked_ = std::make_shared<RecordingSink>();
  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  FakeDevice device_{{.limits = {.max_denoise_rows = 2, .max_resident_jobs = 1}, .embeddings_cached = true}};
  std::unique_ptr<EngineLoop> loop_;
};

TEST_F(FrontDeskParkTest, WhileAJobIsParkedItMayEndAndOthersAreAnswered) {
  Notification parks, go_on;
  TurnOut([&] {
    parks.Notify();
    return go_on.Await() ? absl::OkStatus() : absl::InternalError("held for ever");
  });
  ASSERT_TRUE(parks.Await());
  Decision<Admission> decision;
  loop_->Submit(MakeSpecs({.steps = 1}, sink_), decision.Callback());
  EXPECT_TRUE(decision.Get().ok());
  loop_->Cancel(JobId{1}, absl::CancelledError("gone"));
  ASSERT_TRUE(parked_->AwaitFinished(1));
  EXPECT_EQ(device_.live_states(), 2) << "what is being parked is still there";
  go_on.Notify();
  ASSERT_TRUE(sink_->AwaitFinished(2));
  loop_->Stop();
  EXPECT_EQ(*parked_->StatusOf(JobId{1}), absl::CancelledError("gone"));
  EXPECT_EQ(device_.live_states(), 0);
}

TEST_F(FrontDeskParkTest, WhoCannotBeParkedEndsAlone) {
  TurnOut([] { return absl::InternalError("no host memory"); });
  ASSERT_TRUE(parked_->AwaitFinished(1));
  ASSERT_TRUE(sink_->AwaitFinished(1));
  EXPECT_EQ(*parked_->StatusOf(JobId{1}), absl::InternalError("no host memory"));
  EXPECT_TRUE(sink_->StatusOf(JobId{2})->ok());
  loop_->Stop();
  EXPECT_EQ(device_.live_states(), 0);
}

absl::Status DeviceLost() { return WithReason(absl::UnavailableError("gone"), "DEVICE_LOST"); }

TEST_F(FrontDeskTest, WhoComesInTheTickThatLosesTheDeviceEndsWithIt) {
  StartInATick({.policy = {.name = "serial"}, .admission = {.max_queued_jobs = 3}}, /*images=*/2);
  ASSERT_TRUE(Submit({.image_count = 2}).ok());
  EXPECT_EQ(ErrorReason(Submit({}).status()), "QUEUE_FULL");
  Notification drained;
  device_.SetFault([](const Job&, Phase) { return DeviceLost(); });
  device_.Release();
  ASSERT_TRUE(first_->AwaitFinished(2));
  ASSERT_TRUE(sink_->AwaitFinished(2));
  for (const int64_t job : {1, 2}) EXPECT_EQ(ErrorReason(*first_->StatusOf(JobId{job})), "DEVICE_LOST") << job;
  for (const int64_t job : {3, 4}) EXPECT_EQ(ErrorReason(*sink_->StatusOf(JobId{job})), "DEVICE_LOST") << job;
  EXPECT_EQ(ErrorReason(Submit({}).status()), "DEVICE_LOST");
  loop_->Drain(absl::InfiniteFuture(), [&] { drained.Notify(); });
  EXPECT_TRUE(drained.Await());
  EXPECT_TRUE(loop_->status().lost);
  EXPECT_EQ(loop_->status().waiting, 0);
  EXPECT_EQ(device_.plans(), 1) << "nobody is given to a lost device";
  loop_->Stop();
  EXPECT_EQ(device_.live_states(), 0);
  EXPECT_EQ(first_->finished() + sink_->finished(), 4);
}

// Clients post without a break while the fatal tick comes to its end, so that requests meet every moment of it: each is
// decided once, and whoever was let in ends once, with the device's loss.
TEST_F(FrontDeskTest, NobodyIsLostWithTheDevice) {
  StartInATick({.policy = {.name = "serial"}, .admission = {.max_queued_jobs = 100'000}});
  constexpr int kClients = 4;
  std::atomic<int> admitted{0}, asked{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&] {
      for (;;) {
        const auto admission = Submit({.steps = 1});
        ++asked;
        if (!admission.ok()) {
          EXPECT_EQ(ErrorReason(admission.status()), "DEVICE_LOST") << admission.status();
          return;
        }
        ++admitted;
      }
    });
  }
  ASSERT_TRUE(Await([&] { return asked >= 20; }));
  device_.SetFault([](const Job&, Phase) { return DeviceLost(); });
  device_.Release();
  for (std::thread& client : clients) client.join();
  ASSERT_TRUE(sink_->AwaitFinished(admitted));
  loop_->Stop();
  EXPECT_EQ(sink_->finished(), admitted);
  for (const JobEvent& event : sink_->events()) {
    const auto* finished = std::get_if<JobFinished>(&event.what);
    if (finished == nullptr) continue;
    EXPECT_EQ(ErrorReason(finished->status), "DEVICE_LOST") << event.job;
  }
  EXPECT_EQ(device_.live_states(), 0);
}

// Many clients, ticks that begin and end all the time: every request is decided once, every job ends once, nothing is
// left. Under thread sanitizer this is the proof that the two threads of a loop share nothing but what the lock guards.
TEST(FrontDeskStressTest, ManyClientsLoseNothing) {
  SimulatedClock clock;
  NullEngineMetrics metrics;
  FakeDevice device({.limits = {.max_denoise_rows = 8, .max_resident_jobs = 3}});
  auto made = EngineLoop::Create({.admission = {.max_queued_jobs = 20}}, MakeFakeExecutor(device), clock, metrics);
  ASSERT_TRUE(made.ok());
  EngineLoop& loop = **made;
  const auto sink = std::make_shared<RecordingSink>();
  constexpr int kClients = 6, kRequests = 60;
  std::atomic<int> decided{0}, admitted{0}, views{0};
  std::atomic<bool> done{false};
  // Ticks of every length, from nothing to several requests.
  std::thread gate([&] {
    for (int i = 0; !done; ++i) {
      device.Hold();
      for (int turn = 0; turn < i % 50; ++turn) std::this_thread::yield();
      device.Release();
    }
  });
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < kRequests; ++i) {
        const TestJob job{
            .width = 8 * (1 + (client + i) % 3), .height = 8, .steps = 1 + i % 4, .image_count = 1 + i % 2};
        Decision<Admission> decision;
        loop.Submit(MakeSpecs(job, sink), decision.Callback());
        const auto& admission = decision.Get();
        ++decided;
        if (admission.ok()) admitted += static_cast<int>(admission->jobs.size());
        if (admission.ok() && i % 3 == 0) loop.Cancel(admission->jobs[0], absl::CancelledError("storm"));
        if (i % 10 == 0) loop.Snapshot([&](const ScheduleView&) { ++views; });
        if (i % 7 == 0) loop.Estimate(MakeSpecs(job, sink), [](const auto&) {});
        (void)loop.status();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  done = true;
  gate.join();
  Notification drained;
  loop.Drain(absl::InfiniteFuture(), [&] { drained.Notify(); });
  ASSERT_TRUE(drained.Await());
  EXPECT_EQ(decided, kClients * kRequests);
  EXPECT_EQ(sink->finished(), admitted);
  EXPECT_GT(admitted, 0);
  EXPECT_EQ(views, kClients * kRequests / 10);
  EXPECT_EQ(device.live_states(), 0);
}

}  // namespace
}  // namespace stepcast
