#include "scheduler/decide/policies/slo.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/policy_scene.h"
#include "tests/support/simulation.h"

namespace stepcast {
namespace {

absl::Duration Ms(double milliseconds) { return absl::Milliseconds(1) * milliseconds; }
const BatchKey kEncode{Phase::kEncode, "emoji"};
const BatchKey kDenoise{Phase::kDenoise, "emoji", 16, 16};
const BatchKey kDecode{Phase::kDecode, "emoji", 16, 16};
constexpr ExecutorLimits kLimits{.max_denoise_rows = 8, .max_encode_jobs = 8, .max_decode_jobs = 8};
absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// A fixed part of 60 ms and 20 a row: the knee is at 6 of 8 rows.
const std::vector<CostEntry> kRowsPay = {{kEncode, {{1, Ms(20)}, {8, Ms(160)}}},
                                         {kDenoise, {{2, Ms(100)}, {8, Ms(220)}}},
                                         {kDecode, {{1, Ms(50)}, {8, Ms(400)}}}};
// 50 ms a row, whatever the batch.
const std::vector<CostEntry> kRowsDoNotPay = {{kEncode, {{1, Ms(20)}, {8, Ms(160)}}},
                                              {kDenoise, {{2, Ms(100)}, {8, Ms(400)}}},
                                              {kDecode, {{1, Ms(50)}, {8, Ms(400)}}}};

TestJob Job(int steps, Priority priority = Priority::kStandard, double deadline = 0.0) {
  TestJob job{.steps = steps, .priority = priority, .arrival = At(0)};
  if (deadline > 0.0) job.deadline = At(deadline);
  return job;
}

struct Case {
  const char* name;
  std::vector<SceneJob> jobs;
  const char* plan;
  TickMemory memory = {};
  double now = 0.0;
  ExecutorLimits limits = kLimits;
};

void Check(const std::vector<CostEntry>& costs, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    PolicyScene scene(c.jobs, {}, c.limits, costs);
    scene.memory() = c.memory;
    EXPECT_EQ(scene.PlanOf(SloPolicy(), At(c.now)), c.plan) << c.name;
  }
}

TEST(SloPolicyTest, BatchesGrowToTheKneeAndWithABacklogToTheCap) {
  const TestJob four = Job(4);
  Check(kRowsPay, {{"nothing to do", {}, "idle"},
                   {"one job", {{.id = 1, .job = four}}, "#0 denoise:emoji:16x16 rows=2 jobs=1"},
                   {"four fill the device, but the knee is three",
                    {{.id = 1, .job = four}, {.id = 2, .job = four}, {.id = 3, .job = four}, {.id = 4, .job = four}},
                    "#0 denoise:emoji:16x16 rows=6 jobs=1,2,3"},
                   {"more than the device holds: all of it",
                    {{.id = 1, .job = four},
                     {.id = 2, .job = four},
                     {.id = 3, .job = four},
                     {.id = 4, .job = four},
                     {.id = 5, .job = four}},
                    "#0 denoise:emoji:16x16 rows=8 jobs=1,2,3,4"}});
  Check(kRowsDoNotPay, {{"rows do not pay: one at a time, the shortest",
                         {{.id = 1, .job = Job(9)}, {.id = 2, .job = Job(3)}, {.id = 3, .job = Job(4)}},
                         "#0 denoise:emoji:16x16 rows=2 jobs=2"},
                        {"in flight is no candidate",
                         {{.id = 1, .job = Job(9)}, {.id = 2, .job = Job(3), .in_flight = true}},
                         "#0 denoise:emoji:16x16 rows=2 jobs=1"}});
}

TEST(SloPolicyTest, UrgentClassesLeadAndTicksStayShortForThem) {
  const SceneJob batch{.id = 1, .job = Job(2, Priority::kBatch)};
  const SceneJob batch2{.id = 2, .job = Job(2, Priority::kBatch)};
  const SceneJob batch3{.id = 3, .job = Job(2, Priority::kBatch)};
  const SceneJob batch4{.id = 4, .job = Job(2, Priority::kBatch)};
  const SceneJob batch5{.id = 5, .job = Job(2, Priority::kBatch)};
  TickMemory seen;
  seen.seen[0] = At(-60);
  Check(kRowsPay, {{"an interactive job leads, whatever its length, without company that makes its ticks longer",
                    {batch, {.id = 9, .job = Job(50, Priority::kInteractive)}},
                    "#0 denoise:emoji:16x16 rows=2 jobs=9"},
                   {"a backlog of batch jobs fills the device",
                    {batch, batch2, batch3, batch4, batch5},
                    "#0 denoise:emoji:16x16 rows=8 jobs=1,2,3,4"},
                   {"but not while interactive jobs come now and then",
                    {batch, batch2, batch3, batch4, batch5},
                    "#0 denoise:emoji:16x16 rows=6 jobs=1,2,3",
                    seen},
                   {"which is forgotten after ten minutes",
                    {batch, batch2, batch3, batch4, batch5},
                    "#0 denoise:emoji:16x16 rows=8 jobs=1,2,3,4",
                    seen,
                    541.0}});
}

TEST(SloPolicyTest, CompanyStopsWhereADeadlineWouldBeMissed) {
  // Ten steps of 100 ms alone and 50 ms of decode: 1.05 s. With one more 140 ms a step, 1.45 s.
  Check(kRowsPay,
        {{"no time for company",
          {{.id = 1, .job = Job(10, Priority::kStandard, 1.3)}, {.id = 2, .job = Job(30)}},
          "#0 denoise:emoji:16x16 rows=2 jobs=1"},
         {"time for one",
          {{.id = 1, .job = Job(10, Priority::kStandard, 1.6)}, {.id = 2, .job = Job(30)}, {.id = 3, .job = Job(30)}},
          "#0 denoise:emoji:16x16 rows=4 jobs=1,2"},
         {"a soft deadline limits nobody",
          {{.id = 1, .job = Job(10)}, {.id = 2, .job = Job(30)}, {.id = 3, .job = Job(30)}},
          "#0 denoise:emoji:16x16 rows=6 jobs=1,2,3"},
         {"who is late anyway keeps nobody out",
          {{.id = 1, .job = Job(10, Priority::kStandard, 0.9)}, {.id = 2, .job = Job(30)}},
          "#0 denoise:emoji:16x16 rows=4 jobs=1,2"}});
}

TEST(SloPolicyTest, OtherPhasesHaveOneQuantumBetweenDenoiseTicks) {
  const SceneJob running{.id = 1, .position = 2, .job = Job(30), .resident = true};
  const SceneJob cold{.id = 2, .position = -1, .job = Job(30)};
  const SceneJob cold2{.id = 3, .position = -1, .job = Job(30)};
  const SceneJob done{.id = 4, .position = 30, .job = Job(30)};
  const SceneJob done2{.id = 5, .position = 30, .job = Job(30)};
  const SceneJob done3{.id = 6, .position = 30, .job = Job(30)};
  TickMemory after_denoise;
  after_denoise.denoise = 0.060;
  TickMemory after_decode = after_denoise;
  after_decode.aside = 0.100;
  TickMemory after_encode = after_denoise;
  after_encode.aside = 0.015;
  Check(kRowsPay,
        {{"a finished picture goes first, two of three fit 120 ms",
          {running, done, done2, done3},
          "#0 decode:emoji:16x16 rows=2 jobs=4,5",
          after_denoise},
         {"then the running job steps", {running, done3}, "#0 denoise:emoji:16x16 rows=2 jobs=1", after_decode},
         {"a batch with room encodes whoever will fill it",
          {running, cold, cold2},
          "#0 encode:emoji rows=2 jobs=2,3",
          after_denoise},
         {"and goes on", {running, cold}, "#0 denoise:emoji:16x16 rows=2 jobs=1", after_decode},
         {"what is left of the quantum may be used",
          {running, done, done2},
          "#0 decode:emoji:16x16 rows=2 jobs=4,5",
          after_encode},
         {"nobody waits: no bound", {done, done2, done3}, "#0 decode:emoji:16x16 rows=3 jobs=4,5,6", after_decode}});
}

TEST(SloPolicyTest, TenantsTakeTurnsByWhatTheyHaveUsed) {
  PolicyScene scene({{.id = 1, .job = {.steps = 9, .tenant = "a", .arrival = At(0)}},
                     {.id = 2, .job = {.steps = 9, .tenant = "b", .arrival = At(0)}}},
                    {}, kLimits, kRowsDoNotPay);
  EXPECT_EQ(scene.PlanOf(SloPolicy()), "#0 denoise:emoji:16x16 rows=2 jobs=1");
  scene.lanes().Charge(*scene.Snapshot().jobs[0], 0.1);
  EXPECT_EQ(scene.PlanOf(SloPolicy()), "#0 denoise:emoji:16x16 rows=2 jobs=2");
}

TEST(SloPolicyTest, TheEldestLeadsEveryFourthPlan) {
  // Alone 2.07 s: an elder after 41.4 s.
  const SceneJob old{.id = 1, .job = Job(20, Priority::kBatch)};
  SceneJob fresh{.id = 2, .job = Job(3, Priority::kInteractive)};
  fresh.job.arrival = At(50);
  TickMemory three, four;
  three.newest_plan = 2;
  four.newest_plan = 3;
  Check(kRowsDoNotPay, {{"not yet old", {old, fresh}, "#0 denoise:emoji:16x16 rows=2 jobs=2", four, 41.0},
                        {"old, but not its turn", {old, fresh}, "#0 denoise:emoji:16x16 rows=2 jobs=2", three, 50.0},
                        {"its turn", {old, fresh}, "#0 denoise:emoji:16x16 rows=2 jobs=1", four, 50.0}});
}

TEST(SloPolicyTest, NoTickHasMoreJobsThanTheDeviceHolds) {
  ExecutorLimits limits = kLimits;
  limits.max_resident_jobs = 2;
  Check(kRowsPay, {{"two of three",
                    {{.id = 1, .job = Job(9)}, {.id = 2, .job = Job(9)}, {.id = 3, .job = Job(9)}},
                    "#0 denoise:emoji:16x16 rows=4 jobs=1,2",
                    {},
                    0.0,
                    limits}});
}

TEST(SloPolicyTest, FinishedPicturesThatFillTheDeviceGoFirst) {
  ExecutorLimits limits = kLimits;
  limits.max_resident_jobs = 2;
  const SceneJob urgent{.id = 3, .job = Job(4, Priority::kInteractive), .resident = true};
  const SceneJob done{.id = 1, .position = 4, .job = Job(4, Priority::kBatch), .resident = true};
  SceneJob also_done = done;
  also_done.id = 2;
  Check(kRowsPay,
        {{"the device holds what it may", {done, urgent}, "#0 denoise:emoji:16x16 rows=2 jobs=3", {}, 0, limits},
         {"and one more",
          {done, also_done, urgent},
          "#0 decode:emoji:16x16 rows=2 jobs=1,2",
          {.newest_plan = 5, .denoise = 0.1},
          0,
          limits},
         {"but not two quanta long",
          {done, also_done, urgent},
          "#0 denoise:emoji:16x16 rows=2 jobs=3",
          {.newest_plan = 6, .denoise = 0.1, .aside = 0.2},
          0,
          limits}});
}

TEST(SloPolicyTest, KeysDoNotBlockEachOther) {
  SceneJob large{.id = 1, .job = Job(50)};
  large.job.width = large.job.height = 128;
  Check(kRowsPay, {{"a short job of another size goes first",
                    {large, {.id = 2, .job = Job(2)}},
                    "#0 denoise:emoji:16x16 rows=2 jobs=2"}});
}

// The machine was busy while its large ticks were profiled: they seem to cost three times as much as they do.
TEST(SloPolicyTest, AWrongCurveIsPutRight) {
  SimulationOptions options;
  options.policy.name = "slo";
  options.limits = {.max_denoise_rows = 16};
  options.embeddings_cached = true;
  options.keep_log = false;
  options.latency = [](const StepPlan& plan) { return Ms(60) + plan.rows * Ms(10); };
  options.initial_costs = {{kDenoise, {{2, Ms(80)}, {4, Ms(300)}, {8, Ms(420)}, {16, Ms(660)}}}};
  Simulation simulation(options);
  std::vector<int> rows;
  simulation.OnPlan([&](const StepPlan& plan) { rows.push_back(plan.rows); });
  while (rows.size() < 6'000) {
    if (simulation.scheduler().live() < 8) simulation.Submit({.steps = 1000});
    ASSERT_TRUE(simulation.Turn());
  }
  EXPECT_EQ(rows.front(), 2) << "what it was told";
  EXPECT_GE(rows.back(), 12) << "what pays";
}

}  // namespace
}  // namespace stepcast
