#include "scheduler/decide/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "scheduler/decide/job_index.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

// A one-job scheduler by hand, correct until a test makes it lie.
class Stage {
 public:
  Stage() : job_(MakeJobAt(1, {.steps = 2}, 0, std::make_shared<RecordingSink>())) {
    view_.job = job_.get();
    index_.Insert(view_, 0);
    books_.Admitted(*job_);
  }

  StepPlan Plan(int64_t id) const {
    StepPlan plan;
    plan.id = id;
    plan.key = job_->key();
    plan.jobs = {job_->id()};
    plan.rows = job_->rows();
    return plan;
  }
  void Begin(const StepPlan& plan) {
    books_.Planned(plan, limits_);
    view_.in_flight = true;
    view_.last_plan = plan.id;
  }
  void End(const StepPlan& plan, int evaluations = 1) {
    for (int i = 0; i < evaluations; ++i) job_->Advance();
    view_.in_flight = false;
    index_.Refresh(view_, plan.id);
    books_.Completed(plan);
  }
  std::string Check() {
    return std::string(
        books_.Check({.jobs = index_.jobs(), .keys = index_.keys(), .group = {}, .limits = limits_}).message());
  }

  std::unique_ptr<Job> job_;
  JobView view_;
  JobIndex index_;
  ExecutorLimits limits_;
  SchedulerInvariants books_;
};

TEST(SchedulerInvariantsTest, AHonestLifePasses) {
  Stage stage;
  EXPECT_EQ(stage.Check(), "");
  for (int64_t id = 1; id <= 3; ++id) {
    const StepPlan plan = stage.Plan(id);
    stage.Begin(plan);
    EXPECT_EQ(stage.Check(), "");
    if (plan.phase() == Phase::kDecode) {
      stage.index_.Erase(stage.view_);
      stage.books_.Ended(JobId{1});
      stage.books_.Completed(plan);
    } else {
      stage.End(plan);
    }
    EXPECT_EQ(stage.Check(), "");
  }
  EXPECT_EQ(stage.books_.admitted(), 1);
  EXPECT_EQ(stage.books_.ended(), 1);
}

TEST(SchedulerInvariantsTest, EveryLieIsFound) {
  struct Case {
    const char* complaint;
    std::function<void(Stage&)> lie;
  };
  const Case cases[] = {
      {"already in plan 1",
       [](Stage& s) {
         s.Begin(s.Plan(1));
         s.books_.Planned(s.Plan(2), s.limits_);
       }},
      {"plan ids must grow",
       [](Stage& s) {
         s.Begin(s.Plan(5));
         s.End(s.Plan(5));
         s.Begin(s.Plan(5));
       }},
      {"expected 1",
       [](Stage& s) {
         s.Begin(s.Plan(1));
         s.End(s.Plan(1), /*evaluations=*/2);
       }},
      {"expected 0", [](Stage& s) { s.job_->Advance(); }},
      {"its jobs have 2 rows",
       [](Stage& s) {
         StepPlan plan = s.Plan(1);
         plan.rows = 1;
         s.Begin(plan);
       }},
      {"more rows than the cap of 1",
       [](Stage& s) {
         s.limits_.max_denoise_rows = 1;
         s.Begin(s.Plan(1));
       }},
      {"has key denoise:emoji:16x16",
       [](Stage& s) {
         StepPlan plan = s.Plan(1);
         plan.key.latent_width = 8;
         s.Begin(plan);
       }},
      {"is not live",
       [](Stage& s) {
         StepPlan plan = s.Plan(1);
         plan.jobs = {JobId{2}};
         s.books_.Planned(plan, s.limits_);
       }},
      {"was told to leave",
       [](Stage& s) {
         s.books_.ToldToLeave(JobId{1});
         s.Begin(s.Plan(1));
       }},
      {"outlived plan 1",
       [](Stage& s) {
         s.Begin(s.Plan(1));
         s.books_.ToldToLeave(JobId{1});
         s.End(s.Plan(1));
       }},
      {"ended, but was not live", [](Stage& s) { s.books_.Ended(JobId{3}); }},
      {"the snapshot shows 1 jobs, 0 are live", [](Stage& s) { s.books_.Ended(JobId{1}); }},
      {"the snapshot shows 0 jobs, 1 are live", [](Stage& s) { s.index_.Erase(s.view_); }},
      {"admitted twice", [](Stage& s) { s.books_.Admitted(*s.job_); }},
      {"wrong in-flight mark", [](Stage& s) { s.view_.in_flight = true; }},
      {"shown with 7 rows", [](Stage& s) { s.view_.rows = 7; }},
      {"encoded out of turn", [](Stage& s) { s.job_->set_needs_encode(true); }},
      {"in a plan that was never made", [](Stage& s) { s.view_.last_plan = 4; }},
      {"is live and cancelled", [](Stage& s) { EXPECT_TRUE(s.job_->MoveTo(JobStatus::kCancelled).ok()); }},
  };
  for (const Case& c : cases) {
    Stage stage;
    c.lie(stage);
    EXPECT_THAT(stage.Check(), HasSubstr(c.complaint));
  }
}

TEST(SchedulerInvariantsTest, TheFirstViolationIsKept) {
  Stage stage;
  stage.view_.rows = 7;
  const std::string first = stage.Check();
  stage.view_.rows = 2;
  EXPECT_EQ(stage.Check(), first);
}

}  // namespace
}  // namespace stepcast
