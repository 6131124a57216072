#include "scheduler/decide/lane_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

absl::Duration Ms(double milliseconds) { return absl::Milliseconds(1) * milliseconds; }
const BatchKey kDenoise{Phase::kDenoise, "emoji", 16, 16};
absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

class LaneIndexTest : public testing::Test {
 protected:
  LaneIndexTest() { costs_.SetCurve(kDenoise, {{2, Ms(100)}, {16, Ms(400)}}); }

  JobView& Add(TestJob job) {
    if (job.arrival == absl::InfinitePast()) job.arrival = At(0);
    jobs_.push_back(MakeJobAt(static_cast<int64_t>(jobs_.size()) + 1, job, 0, sink_));
    JobView& view = views_.emplace_back();
    view.job = jobs_.back().get();
    view.rows = 2;
    lanes_.Insert(view, At(0));
    return view;
  }
  std::vector<int64_t> Ids(const std::vector<const JobView*>& views) const {
    std::vector<int64_t> ids;
    for (const JobView* view : views) ids.push_back(view->job->id().value);
    return ids;
  }

  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  CostModel costs_{ExecutorLimits{.max_denoise_rows = 16}};
  LaneIndex lanes_{costs_, {{"gold", 3.0}}};
  std::deque<std::unique_ptr<Job>> jobs_;
  std::deque<JobView> views_;
};

TEST_F(LaneIndexTest, PricesAJob) {
  const JobView& soft = Add({.steps = 10});
  EXPECT_NEAR(soft.alone, 1.0, 1e-9);
  EXPECT_NEAR(soft.work, 0.5, 1e-9) << "ten times two sixteenths of 400 ms";
  EXPECT_NEAR(soft.due, 3.0, 1e-9);
  EXPECT_NEAR(soft.elder_at, 20.0, 1e-9);
  EXPECT_FALSE(soft.firm);
  const JobView& firm = Add({.steps = 10, .arrival = At(1), .deadline = At(3)});
  EXPECT_TRUE(firm.firm);
  EXPECT_NEAR(firm.due, 3.0, 1e-9);
  EXPECT_NEAR(firm.target, 2.9, 1e-9);
  EXPECT_NEAR(absl::ToDoubleSeconds(lanes_.backlog()), 1.0, 1e-9);
}

TEST_F(LaneIndexTest, KeepsItsOrdersWhileJobsAdvance) {
  JobView& first = Add({.steps = 3});
  Add({.steps = 2});
  Add({.steps = 9, .priority = Priority::kInteractive});
  ASSERT_EQ(lanes_.lanes().size(), 2u);
  EXPECT_EQ(lanes_.lanes()[0]->priority, Priority::kInteractive);
  EXPECT_THAT(Ids(lanes_.lanes()[1]->by_work), ElementsAre(2, 1));
  for (int i = 0; i < 2; ++i) {
    jobs_[0]->Advance();
    lanes_.Refresh(first);
  }
  EXPECT_THAT(Ids(lanes_.lanes()[1]->by_work), ElementsAre(1, 2));
  EXPECT_THAT(Ids(lanes_.lanes()[1]->by_due), ElementsAre(2, 1)) << "a soft deadline does not move";
  lanes_.Erase(first);
  EXPECT_THAT(Ids(lanes_.lanes()[1]->by_work), ElementsAre(2));
  lanes_.Erase(views_[1]);
  EXPECT_EQ(lanes_.lanes().size(), 1u);
}

TEST_F(LaneIndexTest, WhoComesBackHasSavedNothingUp) {
  JobView& gold = Add({.tenant = "gold"});
  lanes_.Charge(gold, 6.0);
  EXPECT_NEAR(lanes_.tenants().at("gold").share->used, 2.0, 1e-9) << "a weight of three";
  EXPECT_NEAR(lanes_.tenants().at("gold").device_time, 6.0, 1e-9);
  Add({.tenant = "new"});
  EXPECT_NEAR(lanes_.tenants().at("new").share->used, 2.0, 1e-9);
  lanes_.Erase(gold);
  EXPECT_EQ(lanes_.tenants().at("gold").live, 0);
}

TEST_F(LaneIndexTest, TenantsWithoutAWeightAreOneShare) {
  JobView& one = Add({.tenant = "one"});
  JobView& two = Add({.tenant = "two"});
  EXPECT_EQ(one.lane->tenant->share, two.lane->tenant->share);
  EXPECT_EQ(&lanes_.shares().Of("anybody"), one.lane->tenant->share);
  EXPECT_NE(&lanes_.shares().Of("gold"), one.lane->tenant->share);
  lanes_.Charge(one, 6.0);
  EXPECT_NEAR(two.lane->tenant->share->used, 6.0, 1e-9) << "they pay together";
  EXPECT_NEAR(lanes_.tenants().at("two").used, 0.0, 1e-9) << "and take turns";
  JobView& three = Add({.tenant = "three"});
  EXPECT_NEAR(three.lane->tenant->used, 0.0, 1e-9) << "level with the least of those who are here";
  EXPECT_EQ(lanes_.shares().Of("three").tenants, 3);
}

TEST_F(LaneIndexTest, NobodyOwesWhenNobodyWaits) {
  JobView& night = Add({.tenant = "night"});
  lanes_.Charge(night, 30'000.0);
  lanes_.Erase(night);
  Add({.tenant = "day"});
  JobView& back = Add({.tenant = "night"});
  EXPECT_EQ(back.lane->tenant->used, lanes_.tenants().at("day").used);
  EXPECT_NEAR(lanes_.tenants().at("night").device_time, 30'000.0, 1e-9);
}

TEST_F(LaneIndexTest, TenantsWithoutJobsAreForgottenBeyondABound) {
  for (int i = 0; i < 1100; ++i) {
    lanes_.Erase(Add({.tenant = std::to_string(i)}));
  }
  EXPECT_LE(lanes_.tenants().size(), 1001u);
}

TEST_F(LaneIndexTest, FindsWhoCannotMakeItAnyMore) {
  JobView& view = Add({.steps = 10, .deadline = At(2)});
  EXPECT_EQ(lanes_.Hopeless(At(0.9)), nullptr);
  EXPECT_EQ(lanes_.NextHopeless(), At(1) + absl::Microseconds(1));
  EXPECT_EQ(lanes_.Hopeless(At(1.1)), &view);
  view.in_flight = true;
  EXPECT_EQ(lanes_.Hopeless(At(1.1)), nullptr);
  lanes_.Erase(view);
  EXPECT_EQ(lanes_.NextHopeless(), absl::InfiniteFuture());
}

TEST_F(LaneIndexTest, NobodyIsGivenUpForAnOldPrice) {
  JobView& view = Add({.steps = 10, .deadline = At(2)});
  costs_.SetCurve(kDenoise, {{2, Ms(91)}, {16, Ms(400)}});
  lanes_.FollowCosts(kDenoise);
  ASSERT_NEAR(view.alone, 1.0, 1e-9) << "prices follow when they are off by a tenth";
  EXPECT_EQ(lanes_.Hopeless(At(1.05)), nullptr);
  EXPECT_NEAR(view.alone, 0.91, 1e-9);
  EXPECT_EQ(lanes_.Hopeless(At(1.1)), &view);
}

TEST_F(LaneIndexTest, TheElderIsWhoWillBeOldFirst) {
  Add({.steps = 50});
  JobView& shorter = Add({.steps = 2, .arrival = At(1)});
  EXPECT_EQ(lanes_.elder(), &shorter) << "twenty times its own time comes sooner";
}

TEST_F(LaneIndexTest, FollowsTheCostModelWhenItHasMoved) {
  const JobView& view = Add({.steps = 10});
  costs_.SetCurve(kDenoise, {{2, Ms(105)}, {16, Ms(420)}});
  lanes_.FollowCosts(kDenoise);
  EXPECT_NEAR(view.alone, 1.0, 1e-9) << "five percent are not worth the work";
  costs_.SetCurve(kDenoise, {{2, Ms(200)}, {16, Ms(800)}});
  lanes_.FollowCosts(kDenoise);
  EXPECT_NEAR(view.alone, 2.0, 1e-9);
  EXPECT_NEAR(absl::ToDoubleSeconds(lanes_.backlog()), 1.0, 1e-9);
}

}  // namespace
}  // namespace stepcast
