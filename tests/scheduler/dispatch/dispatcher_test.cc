// Two and three fake devices behind one door.

#include "scheduler/dispatch/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/error_reason.h"
#include "tests/support/await.h"
#include "tests/support/decision.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class DispatcherTest : public testing::Test {
 protected:
  void Start(size_t devices, EngineLoopOptions options = {}) {
    std::vector<DispatchDevice> list;
    for (size_t i = 0; i < devices; ++i) {
      devices_.push_back(std::make_unique<FakeDevice>());
      list.push_back(
          {.name = "fake:" + std::to_string(i), .executor = MakeFakeExecutor(*devices_[i]), .metrics = &metrics_});
    }
    auto dispatcher = Dispatcher::Create(options, std::move(list), clock_);
    ASSERT_TRUE(dispatcher.ok()) << dispatcher.status();
    dispatcher_ = *std::move(dispatcher);
  }
  ~DispatcherTest() override {
    for (auto& device : devices_) device->Release();
  }

  absl::StatusOr<Admission> Submit(const TestJob& job) {
    Decision<Admission> decision;
    dispatcher_->Submit(MakeSpecs(job, sink_), decision.Callback());
    return decision.Get();
  }

  // Stops each device inside a tick of a job of its own.
  void HoldAll() {
    for (auto& device : devices_) device->Hold();
    ASSERT_TRUE(Submit({.steps = 1, .image_count = static_cast<int>(devices_.size())}).ok());
    for (auto& device : devices_) ASSERT_TRUE(device->AwaitHeld());
  }

  // The loop of a job, by its id.
  size_t LoopOf(JobId job) const { return static_cast<size_t>(job.value - 1) % devices_.size(); }
  int JobsOn(size_t device) const {
    const EngineStatus status = dispatcher_->devices()[device].engine;
    return status.waiting + status.running;
  }

  SimulatedClock clock_;
  NullEngineMetrics metrics_;
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::vector<std::unique_ptr<FakeDevice>> devices_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_F(DispatcherTest, NeedsADevice) {
  EXPECT_EQ(Dispatcher::Create({}, {}, clock_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DispatcherTest, OneDeviceIsALoop) {
  Start(1);
  const auto admission = Submit({.steps = 2, .image_count = 2});
  ASSERT_TRUE(admission.ok()) << admission.status();
  EXPECT_THAT(admission->jobs, ElementsAre(JobId{1}, JobId{2}));
  ASSERT_TRUE(sink_->AwaitFinished(2));
  EXPECT_EQ(Submit({.image_count = 0}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DispatcherTest, ImagesOfARequestAreSpreadAndKeepTheirOrder) {
  Start(2);
  const auto admission = Submit({.steps = 2, .image_count = 4});
  ASSERT_TRUE(admission.ok()) << admission.status();
  ASSERT_TRUE(sink_->AwaitFinished(4));
  ASSERT_THAT(admission->jobs, SizeIs(4));
  std::vector<int> per_loop(2, 0);
  for (size_t i = 0; i < 4; ++i) {
    ++per_loop[LoopOf(admission->jobs[i])];
    const std::vector<JobImage> images = sink_->Of<JobImage>(admission->jobs[i]);
    ASSERT_THAT(images, SizeIs(1));
    EXPECT_EQ(images[0].image->pixels, ExpectedFakeImage(MakeSpecs({.steps = 2, .image_count = 4}, nullptr)[i])->pixels)
        << "image " << i;
  }
  EXPECT_THAT(per_loop, ElementsAre(2, 2));
}

// `job` of a model that is painted by `devices` alone.
std::vector<JobSpec> SpecsOn(const TestJob& job, std::vector<std::string> devices, std::shared_ptr<EventSink> sink) {
  std::vector<JobSpec> specs = MakeSpecs(job, std::move(sink));
  auto model = std::make_shared<ModelInfo>(*specs.front().request->model);
  model->devices = std::move(devices);
  auto request = std::make_shared<GenerationRequest>(*specs.front().request);
  request->model = std::move(model);
  for (JobSpec& spec : specs) spec.request = request;
  return specs;
}

TEST_F(DispatcherTest, AModelIsPaintedByItsDevicesAlone) {
  Start(3);
  Decision<Admission> decision;
  dispatcher_->Submit(SpecsOn({.steps = 2, .image_count = 4}, {"fake:2", "fake:1"}, sink_), decision.Callback());
  const auto admission = decision.Get();
  ASSERT_TRUE(admission.ok()) << admission.status();
  ASSERT_TRUE(sink_->AwaitFinished(4));
  for (const JobId job : admission->jobs) EXPECT_NE(LoopOf(job), 0u);
  EXPECT_EQ(devices_[0]->plans(), 0);
  EXPECT_GT(devices_[1]->plans(), 0);
  EXPECT_GT(devices_[2]->plans(), 0);
}

TEST_F(DispatcherTest, WithoutADeviceOfItsOwnAModelIsRefused) {
  Start(2);
  Decision<Admission> decision;
  dispatcher_->Submit(SpecsOn({.steps = 2}, {"gone"}, sink_), decision.Callback());
  EXPECT_EQ(decision.Get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(DispatcherTest, ABurstWithinOneTickIsBalanced) {
  Start(3);
  HoldAll();
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(Submit({.seed = 100 + i}).ok());
  for (auto& device : devices_) device->Release();
  ASSERT_TRUE(sink_->AwaitFinished(3 + 9));
  for (auto& device : devices_) {
    int decodes = 0;
    for (const std::string& plan : device->PlanLog()) {
      if (plan.find("decode:") == std::string::npos) continue;
      decodes += 1 + static_cast<int>(std::count(plan.begin(), plan.end(), ','));
    }
    EXPECT_EQ(decodes, 4);
  }
}

TEST_F(DispatcherTest, AmongEqualsAKeyStaysTogether) {
  Start(2);
  for (auto& device : devices_) device->Hold();
  ASSERT_EQ(LoopOf(Submit({.width = 32, .seed = 7})->jobs[0]), 0u);
  ASSERT_TRUE(devices_[0]->AwaitHeld());
  ASSERT_EQ(LoopOf(Submit({.width = 96, .seed = 8})->jobs[0]), 1u) << "the idle one";
  ASSERT_TRUE(devices_[1]->AwaitHeld());
  // Both have one job now; the third has the key of the second.
  Decision<Admission> third;
  dispatcher_->Submit(MakeSpecs({.width = 96, .seed = 9}, sink_), third.Callback());
  for (auto& device : devices_) device->Release();
  ASSERT_TRUE(third.Get().ok());
  EXPECT_EQ(LoopOf(third.Get()->jobs[0]), 1u);
  ASSERT_TRUE(sink_->AwaitFinished(3));
}

TEST_F(DispatcherTest, CancelFindsItsLoop) {
  Start(2);
  for (auto& device : devices_) device->Hold();
  const auto admission = Submit({.steps = 50, .image_count = 2});
  ASSERT_TRUE(admission.ok());
  for (auto& device : devices_) ASSERT_TRUE(device->AwaitHeld());
  for (const JobId job : admission->jobs) dispatcher_->Cancel(job, absl::CancelledError("enough"));
  for (const int64_t unknown : {-5, 0, 999}) dispatcher_->Cancel(JobId{unknown}, absl::CancelledError("enough"));
  for (auto& device : devices_) device->Release();
  ASSERT_TRUE(sink_->AwaitFinished(2));
  for (const JobId job : admission->jobs) EXPECT_TRUE(absl::IsCancelled(*sink_->StatusOf(job))) << job;
}

TEST_F(DispatcherTest, AllOrNoneAcrossLoops) {
  EngineLoopOptions options;
  options.admission.max_queued_jobs = 2;
  Start(2, options);
  EXPECT_EQ(ErrorReason(Submit({.image_count = 5}).status()), "QUEUE_FULL");
  EXPECT_THAT(sink_->events(), IsEmpty());
  // What the refused request had on the other loop is gone a moment later.
  ASSERT_TRUE(Await([this] { return JobsOn(0) + JobsOn(1) == 0; }));
  EXPECT_TRUE(Submit({.steps = 1, .image_count = 4}).ok()) << "two each";
  ASSERT_TRUE(sink_->AwaitFinished(4));
}

TEST_F(DispatcherTest, WhatOneLoopRefusesAnotherMayTake) {
  Start(2);
  HoldAll();
  // An answer keeps the first loop's desk busy, so that its mail waits for the end of the tick.
  Notification asked, go_on;
  dispatcher_->Estimate(MakeSpecs({.seed = 19}, sink_), [&](const auto&) {
    asked.Notify();
    EXPECT_TRUE(go_on.Await());
  });
  ASSERT_TRUE(asked.Await());
  // Each has one job now; the next goes to the first, the one after to the second, the third to the first.
  Decision<Admission> first, second, third;
  dispatcher_->Submit(MakeSpecs({.seed = 20}, sink_), first.Callback());
  dispatcher_->Submit(MakeSpecs({.seed = 21}, sink_), second.Callback());
  EXPECT_TRUE(second.Get().ok());
  dispatcher_->Submit(MakeSpecs({.seed = 22}, sink_), third.Callback());
  EXPECT_FALSE(first.made() || third.made());
  // The first loses its device in the tick that runs: it refuses what waits in its mail, and the second takes it.
  devices_[0]->SetFault([](const Job&, Phase) { return WithReason(absl::UnavailableError("gone"), "DEVICE_LOST"); });
  devices_[0]->Release();
  for (Decision<Admission>* decision : {&first, &second, &third}) {
    EXPECT_TRUE(decision->Get().ok()) << decision->Get().status();
    EXPECT_EQ(decision->Get().ok() ? LoopOf(decision->Get()->jobs[0]) : 99, 1u);
  }
  go_on.Notify();
  devices_[1]->Release();
  EXPECT_TRUE(sink_->AwaitFinished(5));
}

TEST_F(DispatcherTest, AnEstimateSpeaksForAllLoops) {
  EngineLoopOptions options;
  options.admission.max_queued_jobs = 2;
  Start(2, options);
  for (const auto& [images, fits] : {std::pair{1, true}, {4, true}, {5, false}}) {
    Decision<AdmissionVerdict> verdict;
    dispatcher_->Estimate(MakeSpecs({.image_count = images}, sink_), verdict.Callback());
    EXPECT_EQ(verdict.Get().ok(), fits) << images << " " << verdict.Get().status();
  }
  EXPECT_EQ(devices_[0]->plans() + devices_[1]->plans(), 0);
}

TEST_F(DispatcherTest, ALostDeviceEndsItsJobsAndTheOthersGoOn) {
  Start(2);
  devices_[0]->SetFault([](const Job&, Phase) { return WithReason(absl::UnavailableError("gone"), "DEVICE_LOST"); });
  const auto admission = Submit({.steps = 3, .image_count = 4});
  ASSERT_TRUE(admission.ok());
  ASSERT_TRUE(sink_->AwaitFinished(4));
  for (const JobId job : admission->jobs) {
    const absl::Status status = *sink_->StatusOf(job);
    if (LoopOf(job) == 0) {
      EXPECT_EQ(ErrorReason(status), "DEVICE_LOST") << status;
    } else {
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  ASSERT_TRUE(Await([this] { return dispatcher_->devices()[0].engine.lost; }));
  EXPECT_FALSE(dispatcher_->devices()[1].engine.lost);
  EXPECT_FALSE(dispatcher_->status().lost);
  const auto later = Submit({.steps = 1, .seed = 9, .image_count = 3});
  ASSERT_TRUE(later.ok()) << later.status();
  for (const JobId job : later->jobs) EXPECT_EQ(LoopOf(job), 1u);
  ASSERT_TRUE(sink_->AwaitFinished(7));

  devices_[1]->SetFault([](const Job&, Phase) { return WithReason(absl::UnavailableError("gone"), "DEVICE_LOST"); });
  ASSERT_TRUE(Submit({.steps = 1, .seed = 10}).ok());
  ASSERT_TRUE(Await([this] { return dispatcher_->status().lost; }));
  EXPECT_EQ(ErrorReason(Submit({.steps = 1}).status()), "DEVICE_LOST");
  Decision<AdmissionVerdict> verdict;
  dispatcher_->Estimate(MakeSpecs({}, sink_), verdict.Callback());
  EXPECT_EQ(ErrorReason(verdict.Get().status()), "DEVICE_LOST");
}

TEST_F(DispatcherTest, RequestsThatMeetALossAreDecidedAndEndOnce) {
  EngineLoopOptions options;
  options.admission.max_queued_jobs = 100'000;
  Start(2, options);
  HoldAll();
  constexpr int kClients = 3;
  std::atomic<int> admitted{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&] {
      while (!done) {
        const auto admission = Submit({.steps = 1, .image_count = 3});
        EXPECT_TRUE(admission.ok()) << admission.status() << ": what the lost one refuses the other takes";
        if (admission.ok()) admitted += static_cast<int>(admission->jobs.size());
      }
    });
  }
  ASSERT_TRUE(Await([&] { return admitted >= 30; }));
  devices_[0]->SetFault([](const Job&, Phase) { return WithReason(absl::UnavailableError("gone"), "DEVICE_LOST"); });
  devices_[0]->Release();
  ASSERT_TRUE(Await([this] { return dispatcher_->devices()[0].engine.lost; }));
  done = true;
  devices_[1]->Release();
  for (std::thread& client : clients) client.join();
  ASSERT_TRUE(sink_->AwaitFinished(2 + admitted));
  dispatcher_->Stop();
  EXPECT_EQ(sink_->finished(), 2 + admitted);
  for (const JobEvent& event : sink_->events()) {
    const auto* finished = std::get_if<JobFinished>(&event.what);
    if (finished == nullptr) continue;
    if (LoopOf(event.job) == 0) {
      EXPECT_EQ(ErrorReason(finished->status), "DEVICE_LOST") << event.job;
    } else {
      EXPECT_TRUE(finished->status.ok()) << event.job << " " << finished->status;
    }
  }
}

TEST_F(DispatcherTest, StatusIsTheSumAndEachDeviceHasItsOwn) {
  Start(2);
  HoldAll();
  ASSERT_TRUE(Await([this] { return dispatcher_->status().running == 2; }));
  const std::vector<DeviceStatus> devices = dispatcher_->devices();
  ASSERT_THAT(devices, SizeIs(2));
  EXPECT_EQ(devices[0].name, "fake:0");
  EXPECT_EQ(devices[1].name, "fake:1");
  EXPECT_EQ(devices[1].limits.max_denoise_rows, 16);
  EXPECT_EQ(JobsOn(0), 1);
  EXPECT_EQ(JobsOn(1), 1);
  EXPECT_FALSE(dispatcher_->status().draining);
}

TEST_F(DispatcherTest, ASnapshotShowsEveryDevice) {
  Start(2);
  HoldAll();
  Notification seen;
  std::vector<DeviceView> views;
  dispatcher_->Snapshot([&](std::vector<DeviceView> all) {
    views = std::move(all);
    seen.Notify();
  });
  ASSERT_TRUE(seen.Await()) << "although ticks are running";
  for (auto& device : devices_) device->Release();
  ASSERT_THAT(views, SizeIs(2));
  for (const DeviceView& view : views) EXPECT_THAT(view.schedule.jobs, SizeIs(1)) << view.device.name;
  ASSERT_TRUE(sink_->AwaitFinished(2));
}

TEST_F(DispatcherTest, ADrainWaitsForAll) {
  Start(2);
  HoldAll();
  Notification drained;
  dispatcher_->Drain(absl::InfiniteFuture(), [&drained] { drained.Notify(); });
  EXPECT_TRUE(dispatcher_->status().draining);
  devices_[0]->Release();
  ASSERT_TRUE(Await([this] { return JobsOn(0) == 0; }));
  EXPECT_FALSE(drained.notified());
  devices_[1]->Release();
  ASSERT_TRUE(drained.Await());
  EXPECT_EQ(ErrorReason(Submit({}).status()), "DRAINING");
  EXPECT_EQ(sink_->finished(), 2);
}

TEST_F(DispatcherTest, StopEndsAllJobs) {
  Start(2);
  ASSERT_TRUE(Submit({.steps = 1000, .image_count = 4}).ok());
  dispatcher_->Stop();
  EXPECT_EQ(sink_->finished(), 4);
  EXPECT_EQ(devices_[0]->live_states() + devices_[1]->live_states(), 0);
  EXPECT_TRUE(absl::IsUnavailable(Submit({}).status()));
}

}  // namespace
}  // namespace stepcast
