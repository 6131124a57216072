#include "scheduler/words/step_plan.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(StepPlanTest, PrintsOneStableLine) {
  StepPlan plan;
  plan.id = 17;
  plan.key = {Phase::kDenoise, "emoji", 16, 16};
  plan.jobs = {JobId{3}, JobId{4}, JobId{9}};
  plan.rows = 5;
  EXPECT_EQ(plan.ToString(), "#17 denoise:emoji:16x16 rows=5 jobs=3,4,9");
  plan.group = {JobId{3}, JobId{4}};
  EXPECT_EQ(plan.ToString(), "#17 denoise:emoji:16x16 rows=5 jobs=3,4,9 group=3,4");
}

TEST(StepPlanTest, PartsArePrintedWhereAnEvaluationIsSplit) {
  StepPlan plan;
  plan.id = 2;
  plan.key = {Phase::kDenoise, "emoji", 16, 16};
  plan.jobs = {JobId{3}, JobId{9}};
  plan.rows = 6;
  plan.parts = {{.job = JobId{9}, .first_row = 8, .rows = 4}};
  EXPECT_EQ(plan.ToString(), "#2 denoise:emoji:16x16 rows=6 jobs=3,9 parts=9:8+4");
  ASSERT_NE(plan.PartOf(JobId{9}), nullptr);
  EXPECT_EQ(plan.PartOf(JobId{9})->first_row, 8);
  EXPECT_EQ(plan.PartOf(JobId{3}), nullptr);
}

TEST(StepPlanTest, AnEmptyPlanIsIdle) {
  StepPlan plan;
  EXPECT_TRUE(plan.empty());
  EXPECT_EQ(plan.ToString(), "idle");
  plan.wake_at = absl::UnixEpoch() + absl::Milliseconds(2500);
  EXPECT_EQ(plan.ToString(), "idle until 1970-01-01T00:00:02.5+00:00");
}

}  // namespace
}  // namespace stepcast
