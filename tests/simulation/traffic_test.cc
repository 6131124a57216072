// Random traffic on every policy. The scheduler checks its invariants after every call and aborts on the first
// violation; the story sink checks every event of every job.

#include "tests/simulation/traffic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "scheduler/decide/policies/slo.h"

namespace stepcast {
namespace {

SimulationOptions Options(const std::string& policy) {
  return {.policy = {.name = policy, .max_queue_delay = absl::Milliseconds(500)},
          .limits = {.max_denoise_rows = 7, .max_encode_jobs = 3, .max_decode_jobs = 2}};
}

class PolicyTrafficTest : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(AllPolicies, PolicyTrafficTest, testing::Values("slo", "serial", "fifo", "request_level"));

TEST_P(PolicyTrafficTest, EveryJobEndsOnceAndEveryPictureIsItsOwn) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SimulationOptions options = Options(GetParam());
    options.keep_log = false;
    Simulation simulation(options);
    ScheduleTraffic(simulation, {.seed = seed, .requests = 700, .mean_gap = absl::Milliseconds(1400)});
    absl::Duration longest_tick;
    simulation.OnPlan(
        [&](const StepPlan& plan) { longest_tick = std::max(longest_tick, absl::Milliseconds(20 + 10 * plan.rows)); });
    ASSERT_TRUE(simulation.RunUntilIdle());
    const StorySink& stories = simulation.stories();
    EXPECT_EQ(stories.complaint(), "");
    EXPECT_EQ(stories.admitted(), stories.ended());
    EXPECT_EQ(simulation.scheduler().live(), 0);
    EXPECT_EQ(simulation.scheduler().waiting(), 0);
    EXPECT_EQ(simulation.device().live_states(), 0);
    EXPECT_GT(simulation.elapsed(), absl::Seconds(900)) << "the traffic lasts a quarter of an hour";
    EXPECT_LE(stories.longest_silence(), absl::Seconds(10) + longest_tick);
    // The traffic holds every kind of end; a run without one of them would test less than it says.
    for (const auto code : {absl::StatusCode::kOk, absl::StatusCode::kCancelled, absl::StatusCode::kDeadlineExceeded,
                            absl::StatusCode::kInternal}) {
      EXPECT_GT(stories.ended(code), 0) << absl::StatusCodeToString(code);
    }
  }
}

TEST_P(PolicyTrafficTest, TheSameSeedGivesTheSameLog) {
  const auto run = [](uint64_t seed) {
    Simulation simulation(Options(GetParam()));
    ScheduleTraffic(simulation, {.seed = seed, .requests = 120, .mean_gap = absl::Milliseconds(700)});
    EXPECT_TRUE(simulation.RunUntilIdle());
    return simulation.log();
  };
  const std::vector<std::string> first = run(11);
  EXPECT_GT(first.size(), 500u);
  EXPECT_EQ(first, run(11));
  EXPECT_NE(first, run(12));
}

// Two sizes and a third of each kind of work, all beyond what the device can do: nobody waits longer than the
// bound that scheduler/decide/policies/fifo.h states.
// A long batch job against interactive ones without end: it is passed over until it is an elder, then it is in every
// fourth plan at least, and is done.
TEST(StarvationTest, AnElderOfTheLowestClassIsDone) {
  SimulationOptions options;
  options.policy.name = "slo";
  options.limits = {.max_denoise_rows = 2};
  options.embeddings_cached = true;
  options.latency = [](const StepPlan&) { return absl::Milliseconds(100); };
  for (const Phase phase : {Phase::kEncode, Phase::kDenoise, Phase::kDecode}) {
    options.initial_costs.push_back(
        {.key = {phase, "emoji", phase == Phase::kEncode ? 0 : 16, phase == Phase::kEncode ? 0 : 16},
         .points = {{1, absl::Milliseconds(100)}, {2, absl::Milliseconds(100)}},
         .row_cap = 0});
  }
  Simulation simulation(options);
  const JobId old = simulation.Submit({.steps = 20, .priority = Priority::kBatch}).front();
  for (int i = 0; i < 150; ++i) {
    simulation.At(absl::Milliseconds(500 * i),
                  [&simulation, i] { simulation.Submit({.steps = 5, .seed = i, .priority = Priority::kInteractive}); });
  }
  int64_t last = 0;
  absl::Duration first;
  simulation.OnPlan([&](const StepPlan& plan) {
    if (plan.jobs.front() != old) return;
    if (first == absl::ZeroDuration()) first = simulation.elapsed();
    if (last > 0) {
      EXPECT_LE(plan.id - last, SloPolicy::kElderTurns);
    }
    last = plan.id;
  });
  ASSERT_TRUE(simulation.RunUntilIdle());
  EXPECT_EQ(simulation.stories().complaint(), "");
  EXPECT_EQ(simulation.stories().ended(absl::StatusCode::kOk), 151);
  // Alone it takes 22 ticks with its encode and decode: an elder after 20 x 2.2 s.
  EXPECT_GE(first, absl::Seconds(44));
  EXPECT_LE(first, absl::Seconds(45));
}

TEST(StarvationTest, UnderOverloadEveryKeyGetsItsTurn) {
  SimulationOptions options = Options("fifo");
  options.keep_log = false;
  Simulation simulation(options);
  Dice dice(5);
  for (int i = 0; i < 400; ++i) {
    const TestJob job{.width = 8 * (1 + i % 3), .height = 8, .steps = 10, .seed = i};
    simulation.At(absl::Milliseconds(100 * i), [&simulation, job] { simulation.Submit(job); });
  }
  std::map<BatchKey, std::pair<int64_t, size_t>> waits;  // plan at which the wait began, keys with jobs then
  int64_t worst_excess = -1'000;
  simulation.OnPlan([&](const StepPlan& plan) {
    const SchedulerSnapshot snapshot = simulation.scheduler().Snapshot();
    for (const KeyView* key : snapshot.keys) waits.try_emplace(key->key, plan.id, snapshot.keys.size());
    const auto [since, keys] = waits.at(plan.key);
    worst_excess = std::max(worst_excess, plan.id - since - static_cast<int64_t>(keys));
    waits.erase(plan.key);
  });
  ASSERT_TRUE(simulation.RunUntilIdle());
  EXPECT_EQ(simulation.stories().ended(absl::StatusCode::kOk), 400);
  EXPECT_LE(worst_excess, 0);
}

class CancelStormTest : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Policies, CancelStormTest, testing::Values("slo", "fifo"));

TEST_P(CancelStormTest, TenThousandCancelsLeaveNothingAndSurvivorsAreThemselves) {
  SimulationOptions options = Options(GetParam());
  options.limits = {.max_denoise_rows = 16};
  options.keep_log = false;
  options.checks = InvariantChecks::kOnDemand;  // every call with thousands of jobs would be quadratic
  Simulation simulation(options);
  Dice dice(3);
  constexpr int kJobs = 10'500;
  std::vector<JobId> doomed;
  for (int i = 0; i < kJobs; ++i) {
    TestJob job = RandomJob(dice);
    job.image_count = 1;
    const JobId id = simulation.Submit(job).front();
    if (i % 21 != 0) doomed.push_back(id);
  }
  ASSERT_EQ(doomed.size(), 10'000u);
  // In random order, a few hundred between any two ticks.
  for (size_t i = doomed.size(); i > 1; --i)
    std::swap(doomed[i - 1], doomed[static_cast<size_t>(dice.Roll(static_cast<int>(i)))]);
  for (size_t next = 0; next < doomed.size();) {
    ASSERT_TRUE(simulation.Turn());
    for (int n = dice.Roll(400); n >= 0 && next < doomed.size(); --n) simulation.Cancel(doomed[next++]);
    ASSERT_TRUE(simulation.scheduler().CheckInvariants().ok()) << simulation.scheduler().CheckInvariants();
  }
  EXPECT_LE(simulation.scheduler().live(), 500) << "whoever was cancelled between two ticks is gone at once";
  EXPECT_EQ(simulation.device().live_states(), simulation.scheduler().live());
  ASSERT_TRUE(simulation.RunUntilIdle());
  EXPECT_TRUE(simulation.scheduler().CheckInvariants().ok());
  EXPECT_EQ(simulation.stories().complaint(), "");
  EXPECT_EQ(simulation.stories().ended(), kJobs);
  EXPECT_EQ(
      simulation.stories().ended(absl::StatusCode::kCancelled) + simulation.stories().ended(absl::StatusCode::kOk),
      kJobs);
  EXPECT_GE(simulation.stories().ended(absl::StatusCode::kOk), 500);
  EXPECT_EQ(simulation.device().live_states(), 0);
}

// Rows that leave are used by the very next plan.
TEST_P(CancelStormTest, RowsAreFreeAtTheNextTick) {
  SimulationOptions options = Options(GetParam());
  options.limits = {.max_denoise_rows = 4};
  options.embeddings_cached = true;
  Simulation simulation(options);
  for (int i = 0; i < 20; ++i) simulation.Submit({.steps = 50, .seed = i});
  std::vector<StepPlan> plans;
  simulation.OnPlan([&](const StepPlan& plan) {
    plans.push_back(plan);
    simulation.Cancel(plan.jobs.front());  // while it is in flight
  });
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(simulation.Turn());
  for (size_t i = 1; i < plans.size(); ++i) {
    EXPECT_EQ(plans[i].rows, 4);
    if (std::string(GetParam()) == "fifo") {
      EXPECT_EQ(plans[i].jobs.front(), plans[i - 1].jobs.back());
    }
  }
}

}  // namespace
}  // namespace stepcast
