#include "scheduler/decide/preview_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

absl::Duration Ms(double milliseconds) { return absl::Milliseconds(1) * milliseconds; }

class PreviewBudgetTest : public testing::Test {
 protected:
  void Add(const TestJob& job) {
    jobs_.push_back(MakeJobAt(static_cast<int64_t>(jobs_.size()) + 1, job, 0, std::make_shared<RecordingSink>()));
    views_.emplace_back().job = jobs_.back().get();
    members_.push_back(&views_.back());
  }
  std::vector<JobId> Choose(absl::Duration tick) {
    StepPlan plan;
    plan.id = ++last_plan_;
    plan.key = {Phase::kDenoise, "emoji", 16, 16};
    plan.predicted = tick;
    cost_ = budget_.Choose(members_, costs_, absl::UnixEpoch(), plan);
    for (auto& job : jobs_) job->Advance();
    return plan.previews;
  }

  CostModel costs_{ExecutorLimits{}};
  PreviewBudget budget_;
  absl::Duration cost_;  // of the previews chosen last
  std::deque<std::unique_ptr<Job>> jobs_;
  std::deque<JobView> views_;
  std::vector<JobView*> members_;
  int64_t last_plan_ = 0;
};

TEST_F(PreviewBudgetTest, WhatCostsNothingIsAlwaysMade) {
  Add({.steps = 4, .preview_every = 1});
  Add({.steps = 4, .preview_every = 2});
  Add({.steps = 4});
  EXPECT_THAT(Choose(Ms(1)), ElementsAre(JobId{1}));
  EXPECT_THAT(Choose(Ms(1)), ElementsAre(JobId{1}, JobId{2}));
}

TEST_F(PreviewBudgetTest, ATickThatEndsNobodysEvaluationShowsNobody) {
  EXPECT_THAT(Choose(Ms(60)), IsEmpty());
  EXPECT_EQ(cost_, absl::ZeroDuration());
}

TEST_F(PreviewBudgetTest, ATenthOfTheTickAndTheLongestWaitFirst) {
  costs_.SetCurve({Phase::kPreview, "emoji", 16, 16}, {{1, Ms(5)}});
  for (int i = 0; i < 3; ++i) Add({.steps = 8, .preview_every = 8 - i});  // due after steps 8 (never), 7 and 6
  for (int i = 0; i < 3; ++i) Add({.steps = 8, .preview_every = 1});
  EXPECT_THAT(Choose(Ms(60)), ElementsAre(JobId{4})) << "6 ms for previews of 5";
  EXPECT_THAT(Choose(Ms(60)), ElementsAre(JobId{5})) << "4 is due again, but 5 and 6 are owed one";
  EXPECT_EQ(cost_, Ms(5));
  EXPECT_THAT(Choose(Ms(100)), ElementsAre(JobId{4}, JobId{6}));
  EXPECT_EQ(cost_, Ms(10));
  EXPECT_THAT(Choose(Ms(40)), IsEmpty());
}

TEST_F(PreviewBudgetTest, OneThatCostsMoreThanATenthComesEveryFewTicks) {
  costs_.SetCurve({Phase::kPreview, "emoji", 16, 16}, {{1, Ms(5)}});
  Add({.steps = 30, .preview_every = 1});
  std::vector<int> shown;
  for (int tick = 1; tick <= 12; ++tick) {
    if (!Choose(Ms(20)).empty()) shown.push_back(tick);
  }
  EXPECT_THAT(shown, ElementsAre(3, 6, 9, 12)) << "2 ms a tick for previews of 5";
}

TEST_F(PreviewBudgetTest, ANetworkThatWasNeverMeasuredIsTakenToCostADecode) {
  Add({.steps = 30, .preview_every = 1, .network_previews = true});
  EXPECT_THAT(Choose(Ms(20)), ElementsAre(JobId{1})) << "nothing is known at all";
  costs_.SetCurve({Phase::kDecode, "emoji", 16, 16}, {{1, Ms(5)}});
  std::vector<int> shown;
  for (int tick = 1; tick <= 12; ++tick) {
    if (!Choose(Ms(20)).empty()) shown.push_back(tick);
    EXPECT_EQ(cost_, absl::ZeroDuration()) << "a guess is no measurement: the tick tells what it took";
  }
  EXPECT_THAT(shown, ElementsAre(2, 5, 8, 11)) << "2 ms a tick for previews of 5, and 2 ms from the first tick";
}

TEST_F(PreviewBudgetTest, AMatrixThatWasNeverMeasuredCostsNothing) {
  costs_.SetCurve({Phase::kDecode, "emoji", 16, 16}, {{1, Ms(5)}});
  Add({.steps = 30, .preview_every = 1});
  for (int tick = 1; tick <= 3; ++tick) EXPECT_THAT(Choose(Ms(20)), ElementsAre(JobId{1}));
}

TEST_F(PreviewBudgetTest, APauseIsFollowedByNoBurst) {
  costs_.SetCurve({Phase::kPreview, "emoji", 16, 16}, {{1, Ms(5)}});
  for (int i = 0; i < 4; ++i) Add({.steps = 60, .preview_every = 40});
  for (int tick = 1; tick < 40; ++tick) EXPECT_THAT(Choose(Ms(100)), IsEmpty());
  EXPECT_THAT(Choose(Ms(100)), ElementsAre(JobId{1}, JobId{2})) << "10 ms, not forty times as much";
}

TEST_F(PreviewBudgetTest, NoneWhileAMemberIsBehindItsDeadline) {
  costs_.SetCurve({Phase::kPreview, "emoji", 16, 16}, {{1, Ms(5)}});
  Add({.steps = 4, .preview_every = 1});
  Add({.steps = 4});
  views_[1].firm = true;
  views_[1].alone = 2.0;
  views_[1].target = 1.9;
  EXPECT_THAT(Choose(Ms(500)), IsEmpty());
  views_[1].target = 2.1;
  EXPECT_THAT(Choose(Ms(500)), ElementsAre(JobId{1})) << "one, of the newest state";
}

TEST_F(PreviewBudgetTest, WhatIsOwedAfterTheLastEvaluationIsForgotten) {
  costs_.SetCurve({Phase::kPreview, "emoji", 16, 16}, {{1, Ms(5)}});
  Add({.steps = 2, .preview_every = 1});
  EXPECT_THAT(Choose(Ms(10)), IsEmpty());
  EXPECT_THAT(Choose(Ms(500)), IsEmpty()) << "the picture itself follows";
}

}  // namespace
}  // namespace stepcast
