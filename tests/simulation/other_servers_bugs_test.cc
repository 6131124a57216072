// Bugs that other image servers had, one test each.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/simulation.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SimulationOptions Fifo(ExecutorLimits limits, bool embeddings_cached = true) {
  return {.limits = limits, .embeddings_cached = embeddings_cached};
}

std::vector<std::string> PlansOf(const Simulation& simulation) {
  std::vector<std::string> plans;
  for (const std::string& line : simulation.log()) {
    const size_t at = line.find('#');
    if (at != std::string::npos) plans.push_back(line.substr(at));
  }
  return plans;
}

// xLLM: the parameters and the seed of the first request of a batch were applied to all of them. Here four
// tuples of steps, guidance, evaluations per step and seed share ticks, and each picture is that of its lone run.
TEST(OtherServersBugsTest, XllmFirstRequestsParametersAppliedToAll) {
  Simulation simulation(Fifo({.max_denoise_rows = 16}));
  simulation.Submit({.steps = 3, .guidance_scale = 7.5, .seed = 1});
  simulation.Submit({.steps = 9, .guidance_scale = 1.0, .seed = 2});
  simulation.Submit({.steps = 5, .evaluations_per_step = 2, .guidance_scale = 2.0, .seed = 3});
  simulation.Submit({.steps = 4, .guidance_scale = 3.0, .unguided_tail = 2, .seed = 4});
  ASSERT_TRUE(simulation.RunUntilIdle());
  EXPECT_THAT(PlansOf(simulation), testing::Contains("#1 denoise:emoji:16x16 rows=7 jobs=1,2,3,4"));
  EXPECT_EQ(simulation.stories().complaint(), "");
  EXPECT_EQ(simulation.stories().ended(absl::StatusCode::kOk), 4);
}

// vLLM-Omni #3167: a request aborted between schedule and update poisoned all later requests.
TEST(OtherServersBugsTest, VllmOmni3167AbortBetweenScheduleAndUpdate) {
  for (const int aborted_at : {1, 2, 5, 6}) {  // encode, first and last evaluation, decode
    Simulation simulation(Fifo({.max_denoise_rows = 4}, /*embeddings_cached=*/false));
    const JobId victim = simulation.Submit({.steps = 4, .seed = 1}).front();
    simulation.Submit({.steps = 4, .seed = 2});
    simulation.OnPlan([&](const StepPlan& plan) {
      if (plan.id == aborted_at) simulation.Cancel(victim);
    });
    simulation.At(absl::Seconds(2), [&] { simulation.Submit({.steps = 4, .seed = 3}); });
    ASSERT_TRUE(simulation.RunUntilIdle());
    EXPECT_EQ(simulation.stories().complaint(), "");
    EXPECT_EQ(simulation.stories().ended(absl::StatusCode::kCancelled), 1) << "aborted at plan " << aborted_at;
    EXPECT_EQ(simulation.stories().ended(absl::StatusCode::kOk), 2) << "aborted at plan " << aborted_at;
    EXPECT_EQ(simulation.device().live_states(), 0);
  }
}

// vLLM-Omni #3860: an incompatible request at the head of the queue blocked compatible ones behind it.
TEST(OtherServersBugsTest, VllmOmni3860HeadOfLineBlockingByKey) {
  Simulation simulation(Fifo({.max_denoise_rows = 4}));
  simulation.Submit({.width = 128, .height = 128, .steps = 50});
  for (int i = 0; i < 4; ++i) simulation.Submit({.steps = 2, .seed = i});
  for (int i = 0; i < 4; ++i) simulation.Turn();
  EXPECT_THAT(PlansOf(simulation), ElementsAre("#1 denoise:emoji:32x32 rows=2 jobs=1",    //
                                               "#2 denoise:emoji:16x16 rows=4 jobs=2,3",  //
                                               "#3 denoise:emoji:32x32 rows=2 jobs=1",    //
                                               "#4 denoise:emoji:16x16 rows=4 jobs=2,3"));
}

// vLLM-Omni #7679: the encode of new requests ran inline, and every running request waited for all of them.
TEST(OtherServersBugsTest, VllmOmni7679EncodeLoopBlocksTheBatch) {
  Simulation simulation(Fifo({.max_denoise_rows = 8, .max_encode_jobs = 4}, /*embeddings_cached=*/false));
  simulation.Submit({.steps = 40});
  simulation.At(absl::Milliseconds(200), [&] {
    for (int i = 0; i < 32; ++i) simulation.Submit({.steps = 40, .seed = i});
  });
  int between = 0, worst = 0;
  simulation.OnPlan([&](const StepPlan& plan) {
    const bool steps_first = plan.phase() == Phase::kDenoise && plan.jobs.front() == JobId{1};
    between = steps_first ? 0 : between + 1;
    worst = std::max(worst, between);
  });
  for (int i = 0; i < 30; ++i) simulation.Turn();
  EXPECT_EQ(worst, 1) << "one encode chunk, then the running job steps again";
}

// vLLM-Omni, review of #6408: an error while encoding one request failed every request of the batch.
TEST(OtherServersBugsTest, VllmOmni6408EncodeErrorFailsTheBatch) {
  Simulation simulation(Fifo({}, /*embeddings_cached=*/false));
  simulation.device().SetFault([](const Job& job, Phase phase) {
    return phase == Phase::kEncode && job.id() == JobId{2} ? absl::InternalError("encode") : absl::OkStatus();
  });
  for (int i = 0; i < 3; ++i) simulation.Submit({.seed = i});
  ASSERT_TRUE(simulation.RunUntilIdle());
  EXPECT_THAT(simulation.log()[3], HasSubstr("encode:emoji rows=3 jobs=1,2,3"));
  EXPECT_EQ(simulation.stories().ended(absl::StatusCode::kInternal), 1);
  EXPECT_EQ(simulation.stories().ended(absl::StatusCode::kOk), 2);
}

// vLLM-Omni #7844 and many others: a cancelled request ran to its end.
TEST(OtherServersBugsTest, VllmOmni7844CancelledRequestRunsToTheEnd) {
  Simulation simulation(Fifo({}));
  const JobId victim = simulation.Submit({.steps = 150}).front();
  simulation.At(absl::Milliseconds(100), [&] { simulation.Cancel(victim); });
  ASSERT_TRUE(simulation.RunUntilIdle());
  EXPECT_LE(simulation.device().plans(), 3) << "40 ms a step: the third is the last";
}

// vLLM-Omni #6548: the gauge of waiting requests left out those that the scheduler held back.
TEST(OtherServersBugsTest, VllmOmni6548WaitingGaugeIgnoresTheBacklog) {
  Simulation simulation(Fifo({.max_denoise_rows = 4}));
  for (int i = 0; i < 9; ++i) simulation.Submit({.seed = i});
  simulation.Turn();
  EXPECT_EQ(simulation.scheduler().waiting(), 7);
  EXPECT_EQ(simulation.scheduler().live(), 9);
}

// Qwen-Image #236: two threads advanced one sampler ("index 51 is out of bounds"). Two plans in flight never
// share a job, and each job ends exactly at its own last evaluation.
TEST(OtherServersBugsTest, QwenImage236TwoTicksAdvanceOneSampler) {
  NullEngineMetrics metrics;
  const SimulatedClock clock;
  const auto sink = std::make_shared<StorySink>(clock);
  const ExecutorLimits limits{.max_denoise_rows = 2, .max_decode_jobs = 1};
  StepScheduler scheduler(*MakePolicy({.name = "fifo"}), {.limits = limits, .checks = InvariantChecks::kEveryCall},
                          metrics);
  FakeDevice device({.limits = limits, .embeddings_cached = true});
  const auto executor = MakeFakeExecutor(device);
  for (int64_t id = 1; id <= 2; ++id) {
    std::vector<std::unique_ptr<Job>> jobs;
    jobs.push_back(MakeJob(id, {.steps = 3, .seed = id}, sink));
    sink->Expect(JobId{id}, jobs.back()->spec());
    ASSERT_TRUE(executor->Start(*jobs.back()).ok());
    scheduler.Submit(std::move(jobs), clock.Now());
  }
  for (int tick = 0; tick < 4; ++tick) {
    const StepPlan first = scheduler.Next(clock.Now());
    const StepPlan second = scheduler.Next(clock.Now());
    EXPECT_NE(first.jobs, second.jobs);
    EXPECT_TRUE(scheduler.Next(clock.Now()).empty()) << "both jobs are in flight";
    scheduler.Complete(second, executor->Execute(second, scheduler.JobsOf(second)), clock.Now());
    scheduler.Complete(first, executor->Execute(first, scheduler.JobsOf(first)), clock.Now());
  }
  EXPECT_EQ(sink->ended(absl::StatusCode::kOk), 2);
  EXPECT_EQ(sink->complaint(), "");
}

}  // namespace
}  // namespace stepcast
