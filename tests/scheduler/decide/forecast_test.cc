#include "scheduler/decide/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/decide/policies/batch_shape.h"
#include "scheduler/decide/policies/with_more.h"
#include "tests/support/policy_scene.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

absl::Duration Ms(double milliseconds) { return absl::Milliseconds(1) * milliseconds; }
const BatchKey kDenoise{Phase::kDenoise, "emoji", 16, 16};
constexpr ExecutorLimits kLimits{.max_denoise_rows = 4};
const std::vector<CostEntry> kCosts = {{{Phase::kEncode, "emoji"}, {{1, Ms(0)}}},
                                       {kDenoise, {{2, Ms(100)}, {4, Ms(120)}}},
                                       {{Phase::kDecode, "emoji", 16, 16}, {{1, Ms(50)}}}};
absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// "id start finish" of everybody, in order of finishing; times in milliseconds.
std::vector<std::string> Played(const PolicyScene& scene, const std::string& policy,
                                absl::Span<const JobView* const> more = {}, bool all = true) {
  std::vector<std::string> lines;
  const auto made = *MakePolicy({.name = policy});
  for (const Expectation& job : Forecast(*made, scene.Snapshot(), more, scene.costs(), At(0), all)) {
    const auto ms = [](absl::Time time) {
      return std::to_string(absl::ToInt64Milliseconds(time - absl::UnixEpoch() + absl::Microseconds(1)));
    };
    lines.push_back(std::to_string(job.view->job->id().value) + " " + ms(job.start) + " " + ms(job.finish));
  }
  return lines;
}

TEST(ForecastTest, PlaysBatchesUntilAllAreDone) {
  const PolicyScene scene({{.id = 1, .job = {.steps = 5, .arrival = At(0)}},
                           {.id = 2, .job = {.steps = 2, .arrival = At(0)}},
                           {.id = 3, .job = {.steps = 4, .arrival = At(0)}}},
                          {}, kLimits, kCosts);
  EXPECT_THAT(Played(scene, "fifo"), ElementsAre("2 0 290", "1 0 700", "3 290 850"));
  EXPECT_THAT(Played(scene, "slo"), ElementsAre("2 0 290", "3 0 580", "1 290 930")) << "the shorter ones go first";
}

TEST(ForecastTest, WhatIsInFlightHasBeenDone) {
  const PolicyScene scene({{.id = 1, .job = {.steps = 3, .arrival = At(0)}, .in_flight = true}}, {}, kLimits, kCosts);
  EXPECT_THAT(Played(scene, "fifo"), ElementsAre("1 0 250"));
}

TEST(ForecastTest, ThePlayBeginsWhenTheRunningTickIsOver) {
  const auto finish = [](int position) {
    const PolicyScene scene({{.id = 1, .position = position, .job = {.steps = 3, .arrival = At(0)}, .in_flight = true}},
                            {}, kLimits, kCosts);
    SchedulerSnapshot snapshot = scene.Snapshot();
    snapshot.busy_until = At(0.07);
    const auto fifo = *MakePolicy({.name = "fifo"});
    return Forecast(*fifo, snapshot, {}, scene.costs(), At(0), /*all=*/true).front().finish - At(0);
  };
  EXPECT_EQ(finish(0), Ms(70 + 2 * 100 + 50)) << "two steps and the decode are left";
  EXPECT_EQ(finish(3), Ms(70)) << "it is the decode that runs";
  EXPECT_EQ(finish(-1), Ms(70 + 3 * 100 + 50)) << "the encode is not paid twice";
}

TEST(ForecastTest, NewcomersTakeTheirPlaceInTheOrder) {
  PolicyScene scene(
      {{.id = 1, .job = {.steps = 9, .arrival = At(0)}}, {.id = 2, .job = {.steps = 9, .arrival = At(0)}}}, {}, kLimits,
      kCosts);
  const auto job = MakeJobAt(99, {.steps = 1, .tenant = "new", .priority = Priority::kInteractive, .arrival = At(0)}, 0,
                             std::make_shared<RecordingSink>());
  JobView view;
  view.job = job.get();
  view.rows = 2;
  scene.lanes().Price(view, At(0));
  const JobView* const more[] = {&view};
  EXPECT_THAT(Played(scene, "slo", more, /*all=*/false), ElementsAre("99 0 170")) << "it ends with the newcomer";
  EXPECT_EQ(Played(scene, "slo", more).size(), 3u);
  EXPECT_THAT(Played(scene, "fifo", more, false), testing::Contains("99 1180 1330"));
  EXPECT_THAT(Played(scene, "slo"), testing::SizeIs(2)) << "the scene itself has not changed";

  const WithMore joined(scene.Snapshot(), more);
  ASSERT_EQ(joined.snapshot().lanes.size(), 2u);
  EXPECT_EQ(joined.snapshot().lanes[0]->tenant->name, "new");
  EXPECT_EQ(joined.snapshot().lanes[0]->by_due.size(), 1u);
}

// Ticks of four rows and of two take the same, so that only the limit tells how many go together.
TEST(ForecastTest, BatchesAreNoLargerThanThePolicyMakesThem) {
  const std::vector<CostEntry> flat = {{kDenoise, {{2, Ms(100)}, {16, Ms(100)}}},
                                       {{Phase::kDecode, "emoji", 16, 16}, {{1, Ms(0)}}}};
  std::vector<SceneJob> jobs;
  for (int id = 1; id <= 6; ++id) jobs.push_back({.id = id, .job = {.steps = 5, .arrival = At(0)}});
  const PolicyScene wide(jobs, {}, {.max_denoise_rows = 16}, flat);
  EXPECT_THAT(Played(wide, "slo"), testing::Each(testing::EndsWith(" 500")));
  const PolicyScene narrow(jobs, {}, {.max_denoise_rows = 16, .max_resident_jobs = 2}, flat);
  for (const char* policy : {"slo", "fifo"}) EXPECT_THAT(Played(narrow, policy), testing::Contains("6 1000 1500"));
  SchedulerSnapshot urgent = wide.Snapshot();
  urgent.memory.seen[static_cast<size_t>(Priority::kInteractive)] = At(-300);
  const auto slo = *MakePolicy({.name = "slo"});
  const auto played = Forecast(*slo, urgent, {}, wide.costs(), At(0), /*all=*/true);
  EXPECT_EQ(played.back().finish, At(1)) << "three at a time, five minutes after somebody urgent";
}

TEST(ForecastTest, NobodyIsExpectedWhereNobodyIs) {
  EXPECT_TRUE(Played(PolicyScene({}, {}, kLimits, kCosts), "slo").empty());
}

TEST(BatchShapeTest, LessUrgentCompanyMustLeaveMoreRoom) {
  // Twenty steps from now to a deadline that allows 135 ms a step: 128 with the reserve, 115 for lower classes.
  const PolicyScene scene(
      {{.id = 1, .job = {.steps = 20, .priority = Priority::kInteractive, .arrival = At(0), .deadline = At(2.75)}},
       {.id = 2, .job = {.steps = 20, .priority = Priority::kInteractive, .arrival = At(0)}},
       {.id = 3, .job = {.steps = 20, .priority = Priority::kBatch, .arrival = At(0)}}},
      {}, kLimits, kCosts);
  const auto jobs = scene.Snapshot().jobs;
  BatchShape equal(scene.costs(), kDenoise, 4, 0.0), lower(scene.costs(), kDenoise, 4, 0.0);
  EXPECT_TRUE(equal.Add(*jobs[0]));
  EXPECT_TRUE(equal.Add(*jobs[1]));
  EXPECT_TRUE(equal.full());
  EXPECT_NEAR(equal.seconds(), 0.120, 1e-9);
  EXPECT_TRUE(lower.Add(*jobs[0]));
  EXPECT_FALSE(lower.Add(*jobs[2]));
  EXPECT_EQ(lower.rows(), 2);
}

}  // namespace
}  // namespace stepcast
