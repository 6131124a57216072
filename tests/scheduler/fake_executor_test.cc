// The fakes that other tests stand on.

#include "tests/support/fake_executor.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <thread>

#include "tests/support/await.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

StepPlan PlanFor(const Job& job) {
  StepPlan plan;
  plan.id = 1;
  plan.key = job.key();
  plan.jobs = {job.id()};
  plan.rows = job.rows();
  return plan;
}

class FakeExecutorTest : public testing::Test {
 protected:
  std::unique_ptr<Job> Started(StepExecutor& executor, const TestJob& wanted) {
    auto job = MakeJob(1, wanted, std::make_shared<RecordingSink>());
    EXPECT_TRUE(executor.Start(*job).ok());
    return job;
  }
  static StepResult Step(StepExecutor& executor, Job& job) {
    Job* const jobs[] = {&job};
    return executor.Execute(PlanFor(job), jobs)[0];
  }
};

TEST_F(FakeExecutorTest, APictureShowsSeedAndProgramAndNothingElse) {
  FakeDevice device({.embeddings_cached = true});
  const auto executor = MakeFakeExecutor(device);
  const auto paint = [&](const TestJob& wanted) {
    auto job = Started(*executor, wanted);
    for (; !job->denoised(); job->Advance()) EXPECT_TRUE(Step(*executor, *job).status.ok());
    const SharedImage image = Step(*executor, *job).image;
    EXPECT_EQ(image->pixels, ExpectedFakeImage(*job)->pixels);
    return image->pixels;
  };
  const auto picture = paint({.seed = 1});
  EXPECT_EQ(picture.size(), 64u * 64u * 3u);
  EXPECT_EQ(picture, paint({.seed = 1}));
  EXPECT_NE(picture, paint({.seed = 2}));
  EXPECT_NE(picture, paint({.guidance_scale = 3.0, .seed = 1}));
  EXPECT_NE(picture, paint({.steps = 5, .seed = 1}));
  EXPECT_EQ(device.live_states(), 0) << "a state dies with its job";
}

TEST_F(FakeExecutorTest, TimePassesAsScripted) {
  SimulatedClock clock;
  FakeDevice device({.latency = [](const StepPlan& plan) { return absl::Seconds(plan.rows); }, .clock = &clock});
  const auto executor = MakeFakeExecutor(device);
  auto job = Started(*executor, {});
  EXPECT_TRUE(job->needs_encode());
  Step(*executor, *job);
  job->set_needs_encode(false);
  Step(*executor, *job);
  EXPECT_EQ(clock.Now(), absl::UnixEpoch() + absl::Seconds(1 + 2));
  EXPECT_EQ(device.PlanLog().size(), 2u);
}

TEST_F(FakeExecutorTest, FailsAndThrowsAsScripted) {
  FakeDevice device({.embeddings_cached = true});
  const auto executor = MakeFakeExecutor(device);
  auto job = Started(*executor, {});
  device.SetFault([](const Job& asked, Phase) { return absl::DataLossError(std::to_string(asked.position())); });
  EXPECT_EQ(Step(*executor, *job).status, absl::DataLossError("0"));
  device.SetFault({});
  EXPECT_TRUE(Step(*executor, *job).status.ok());
  device.SetCrash([](const StepPlan&) { return true; });
  EXPECT_THROW(Step(*executor, *job), std::runtime_error);
  device.SetStartFault([](const Job&) { return absl::NotFoundError("x"); });
  EXPECT_EQ(executor->Start(*job), absl::NotFoundError("x"));
}

TEST_F(FakeExecutorTest, AHeldPlanStandsUntilReleased) {
  FakeDevice device({.embeddings_cached = true});
  const auto executor = MakeFakeExecutor(device);
  auto job = Started(*executor, {});
  device.Hold();
  Notification stepped;
  std::thread engine([&] {
    Step(*executor, *job);
    stepped.Notify();
  });
  EXPECT_TRUE(device.AwaitHeld());
  EXPECT_FALSE(stepped.notified());
  device.Release();
  EXPECT_TRUE(stepped.Await());
  engine.join();
}

TEST(SimulatedClockTest, MovesForwardOnlyAndTellsItsListeners) {
  SimulatedClock clock;
  int jumps = 0;
  clock.OnAdvance([&] { ++jumps; });
  clock.Advance(absl::Seconds(3));
  clock.AdvanceTo(absl::UnixEpoch() + absl::Seconds(2));
  EXPECT_EQ(clock.Now(), absl::UnixEpoch() + absl::Seconds(3));
  EXPECT_EQ(jumps, 1);
  clock.AdvanceTo(absl::UnixEpoch() + absl::Seconds(5));
  EXPECT_EQ(clock.Now(), absl::UnixEpoch() + absl::Seconds(5));
  EXPECT_EQ(jumps, 2);
}

}  // namespace
}  // namespace stepcast
