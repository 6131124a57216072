#include "tools/simulate/summary.h"

#include <gtest/gtest.h>

#include <vector>

namespace stepcast::simulate {
namespace {

Fate Finished(double came, double latency, double due) {
  Fate fate;
  fate.admitted = true;
  fate.end = absl::StatusCode::kOk;
  fate.came = came;
  fate.finished = came + latency;
  fate.isolated = 2.0;
  fate.evaluations = 10;
  fate.due = due;
  return fate;
}

TEST(PercentileTest, IsTheNearestRank) {
  std::vector<double> hundred;
  for (int i = 1; i <= 100; ++i) hundred.push_back(i);
  EXPECT_EQ(Percentile(hundred, 0.0), 1);
  EXPECT_EQ(Percentile(hundred, 0.5), 50);
  EXPECT_EQ(Percentile(hundred, 0.95), 95);
  EXPECT_EQ(Percentile(hundred, 0.951), 96);
  EXPECT_EQ(Percentile(hundred, 1.0), 100);
  EXPECT_EQ(Percentile({}, 0.5), 0);
}

TEST(SummaryTest, CountsEveryKindOfEnd) {
  Outcome run;
  run.end = 20.0;
  run.fates = {Finished(0.0, 4.0, 5.0), Finished(1.0, 6.0, 5.0), Finished(2.0, 8.0, 1e300)};
  run.fates[1].arrival.tenant = "a";
  run.fates[2].arrival.priority = Priority::kBatch;
  Fate refused, expired, cancelled;
  refused.came = 3.0;
  refused.end = absl::StatusCode::kResourceExhausted;
  expired = Finished(4.0, 5.0, 5.0);
  expired.end = absl::StatusCode::kDeadlineExceeded;
  cancelled = Finished(5.0, 1.0, 5.0);
  cancelled.end = absl::StatusCode::kCancelled;
  run.fates.insert(run.fates.end(), {refused, expired, cancelled});

  const RunSummary summary = Summarize({&run, 1}, {});
  EXPECT_EQ(summary.all.jobs, 6);
  EXPECT_EQ(summary.all.finished, 3);
  EXPECT_EQ(summary.all.dropped, 2);
  EXPECT_EQ(summary.all.cancelled, 1);
  EXPECT_DOUBLE_EQ(summary.all.mean, 6.0);
  EXPECT_DOUBLE_EQ(summary.all.p50, 6.0);
  EXPECT_DOUBLE_EQ(summary.all.p99, 8.0);
  EXPECT_DOUBLE_EQ(summary.all.stretch, 3.0);
  EXPECT_DOUBLE_EQ(summary.all.attainment, 2.0 / 6.0);
  // From the first arrival at 0 to the last end at 10.
  EXPECT_DOUBLE_EQ(summary.all.throughput, 0.3);
  EXPECT_DOUBLE_EQ(summary.all.goodput, 0.2);
  EXPECT_DOUBLE_EQ(summary.all.wasted_steps, 0.6) << "of 50 evaluations, 30 were of the late, the dropped and the gone";
  EXPECT_EQ(summary.by_priority.at("batch").jobs, 1);
  EXPECT_EQ(summary.by_priority.at("standard").jobs, 5);
  EXPECT_EQ(summary.by_tenant.at("a").attainment, 0.0);
}

TEST(SummaryTest, TheFirstJobsOfEachRunDoNotCount) {
  Outcome run;
  run.fates = {Finished(0.0, 100.0, 1e300), Finished(10.0, 2.0, 1e300), Finished(11.0, 4.0, 1e300)};
  const std::vector<Outcome> runs = {run, run};
  const RunSummary summary = Summarize(runs, {.warm_up = 1});
  EXPECT_EQ(summary.all.jobs, 4);
  EXPECT_DOUBLE_EQ(summary.all.mean, 3.0);
  EXPECT_DOUBLE_EQ(summary.all.throughput, 4.0 / 10.0);
  EXPECT_EQ(summary.latencies, (std::vector<double>{2.0, 2.0, 4.0, 4.0}));
}

TEST(SummaryTest, TicksSayHowTheDevicesWereUsed) {
  Outcome run;
  run.end = 10.0;
  run.ticks = {{.seconds = 1.0, .predicted = 0.9, .rows = 8, .jobs = 4, .padding = 0, .device = 0},
               {.seconds = 2.0, .predicted = 3.0, .rows = 2, .jobs = 1, .padding = 6, .device = 1},
               {.seconds = 1.0, .predicted = 0.0, .phase = Phase::kDecode, .rows = 1, .jobs = 1, .device = 0}};
  const RunSummary summary = Summarize({&run, 1}, {.devices = 2, .row_cap = 10});
  EXPECT_DOUBLE_EQ(summary.occupancy, 10.0 / 20.0);
  EXPECT_DOUBLE_EQ(summary.row_waste, 6.0 / 16.0);
  EXPECT_DOUBLE_EQ(summary.utilisation, 4.0 / 20.0);
  EXPECT_DOUBLE_EQ(summary.prediction_p50, 0.1) << "of 0.1 and 0.5; what was not predicted does not count";
}

TEST(SummaryTest, NothingIsNothing) {
  const RunSummary summary = Summarize({}, {});
  EXPECT_EQ(summary.all.jobs, 0);
  EXPECT_EQ(summary.all.mean, 0.0);
  EXPECT_EQ(summary.all.attainment, 0.0);
  EXPECT_EQ(summary.occupancy, 0.0);
}

}  // namespace
}  // namespace stepcast::simulate
