// What jobs are told that they cost is what the device was busy with, however they end.

#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "core/error_reason.h"
#include "scheduler/loop/engine_loop.h"
#include "tests/support/await.h"
#include "tests/support/decision.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

class Books final : public EngineMetrics {
 public:
  void ObserveTick(std::string_view phase, std::string_view, int, int rows, absl::Duration took) override {
    MutexLock lock(mutex_);
    busy_.device_time += took;
    if (phase == "denoise") busy_.row_evaluations += rows;
  }
  void ChargeTenant(std::string_view tenant, const DeviceCost& cost) override {
    MutexLock lock(mutex_);
    tenants_[std::string(tenant)] += cost;
  }
  void SetQueue(int, int) override {}
  void CountJob(std::string_view, std::string_view, absl::Duration) override {}
  void CountEmbeddingLookup(bool) override {}

  DeviceCost busy() const {
    MutexLock lock(mutex_);
    return busy_;
  }
  std::map<std::string, DeviceCost> tenants() const {
    MutexLock lock(mutex_);
    return tenants_;
  }

 private:
  mutable Mutex mutex_;
  DeviceCost busy_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, DeviceCost> tenants_ ABSL_GUARDED_BY(mutex_);
};

class CostBooksTest : public testing::Test {
 protected:
  // Ticks whose time no row count divides.
  void Start(EngineLoopOptions options = {}, ExecutorLimits limits = {}) {
    device_ = std::make_unique<FakeDevice>(
        FakeDeviceOptions{.limits = limits,
                          .latency = [](const StepPlan& plan) { return absl::Nanoseconds(1'000'003 + 7919 * plan.id); },
                          .clock = &clock_});
    auto loop = EngineLoop::Create(options, MakeFakeExecutor(*device_), clock_, books_);
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }

  void Submit(TestJob job) {
    expected_ += job.image_count;
    Decision<Admission> decision;
    loop_->Submit(MakeSpecs(job, sink_), decision.Callback());
    ASSERT_TRUE(decision.Get().ok()) << decision.Get().status();
  }

  void ExpectBooksAddUp() {
    ASSERT_TRUE(sink_->AwaitFinished(expected_));
    DeviceCost told;
    for (const JobEvent& event : sink_->events()) {
      if (const auto* end = std::get_if<JobFinished>(&event.what)) told += end->statistics.cost;
    }
    DeviceCost charged;
    for (const auto& [tenant, cost] : books_.tenants()) charged += cost;
    const DeviceCost busy = books_.busy();
    EXPECT_GT(busy.device_time, absl::ZeroDuration());
    EXPECT_EQ(told.device_time, busy.device_time);
    EXPECT_EQ(charged.device_time, busy.device_time);
    EXPECT_EQ(told.row_evaluations, busy.row_evaluations);
    EXPECT_EQ(charged.row_evaluations, busy.row_evaluations);
  }

  SimulatedClock clock_;
  Books books_;
  int expected_ = 0;
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::unique_ptr<FakeDevice> device_;
  std::unique_ptr<EngineLoop> loop_;
};

TEST_F(CostBooksTest, OfPicturesThatAreDone) {
  Start();
  device_->Hold();
  Submit({.steps = 3, .image_count = 3, .preview_every = 1, .tenant = "acme"});
  Submit({.steps = 4, .guidance_scale = 1.0, .tenant = "globex"});
  Submit({.steps = 2, .second_steps = 2, .tenant = "acme"});
  device_->Release();
  ExpectBooksAddUp();
  EXPECT_EQ(sink_->Of<JobFinished>(JobId{1})[0].statistics.cost.row_evaluations, 6);
  EXPECT_EQ(sink_->Of<JobFinished>(JobId{4})[0].statistics.cost.row_evaluations, 4);
  EXPECT_EQ(books_.tenants()["globex"].device_time, sink_->Of<JobFinished>(JobId{4})[0].statistics.cost.device_time);
}

TEST_F(CostBooksTest, OfThoseThatFailWithTheirTick) {
  Start();
  device_->SetFault([](const Job& job, Phase phase) {
    return job.spec().image_index == 1 && phase == Phase::kDenoise && job.position() == 1 ? absl::InternalError("NaN")
                                                                                          : absl::OkStatus();
  });
  device_->SetCrash([](const StepPlan& plan) { return plan.phase() == Phase::kDecode; });
  Submit({.steps = 3, .image_count = 3});
  ExpectBooksAddUp();
}

TEST_F(CostBooksTest, OfThoseThatLeaveDuringATickAndBeforeIt) {
  Start({}, {.max_denoise_rows = 4, .max_encode_jobs = 1});
  device_->Hold();
  Submit({.steps = 3, .image_count = 2});
  ASSERT_TRUE(device_->AwaitHeld());
  loop_->Cancel(JobId{1}, absl::CancelledError("gone"));                // in the tick
  loop_->Cancel(JobId{2}, absl::DeadlineExceededError("out of time"));  // waits
  device_->Release();
  ExpectBooksAddUp();
  EXPECT_EQ(sink_->Of<JobFinished>(JobId{2})[0].statistics.cost.device_time, absl::ZeroDuration());
  EXPECT_GT(sink_->Of<JobFinished>(JobId{1})[0].statistics.cost.device_time, absl::ZeroDuration());
}

TEST_F(CostBooksTest, OfThoseThatAreParkedOnTheWay) {
  Start({.policy = {.name = "fifo"}}, {.max_denoise_rows = 2, .max_resident_jobs = 1});
  Submit({.steps = 3});
  Submit({.width = 32, .steps = 3});
  ExpectBooksAddUp();
}

TEST_F(CostBooksTest, OfThoseThatAreHandedOut) {
  EngineLoopOptions options;
  options.hands_out = true;
  Start(options);
  device_->Hold();
  Submit({.steps = 500, .image_count = 3});
  ASSERT_TRUE(device_->AwaitHeld());
  Notification drained;
  loop_->Drain(clock_.Now(), [&] { drained.Notify(); });
  device_->Release();
  ASSERT_TRUE(drained.Await());
  ExpectBooksAddUp();
}

TEST_F(CostBooksTest, OfALostDevice) {
  Start();
  device_->SetFault([](const Job& job, Phase phase) {
    return phase == Phase::kDenoise && job.position() == 2 ? WithReason(absl::UnavailableError("gone"), "DEVICE_LOST")
                                                           : absl::OkStatus();
  });
  Submit({.steps = 6, .image_count = 2});
  ExpectBooksAddUp();
}

}  // namespace
}  // namespace stepcast
