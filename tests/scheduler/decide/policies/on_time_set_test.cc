#include "scheduler/decide/policies/on_time_set.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

// Jobs by their deadlines: alone each takes 1 s, in full batches 4 s, and 0.5 s of the device.
class OnTimeSetTest : public ::testing::Test {
 protected:
  JobView& Add(double due, bool firm = true, bool roomy = true) {
    jobs_.push_back(MakeJob(static_cast<int64_t>(jobs_.size()) + 1, {.steps = 20}, sink_));
    JobView& view = views_.emplace_back();
    view.job = jobs_.back().get();
    view.work = 0.5;
    view.alone = 1.0;
    view.crowded = 4.0;
    view.due = due;
    view.given = 10.0;
    view.firm = firm;
    view.roomy = roomy;
    by_due_.push_back(&view);
    return view;
  }
  OnTimeSet Make() const { return OnTimeSet(by_due_, 0.0, FairPace()); }

 private:
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::deque<std::unique_ptr<Job>> jobs_;
  std::deque<JobView> views_;
  std::vector<const JobView*> by_due_;
};

TEST_F(OnTimeSetTest, WhoWaitedTooLongForFullBatchesIsTheFirstToBeGivenUp) {
  // Twenty fill the device until 10 s; the first has time enough alone, but its ticks would be short.
  const JobView& late = Add(2.0);
  std::vector<const JobView*> others;
  for (int i = 0; i < 20; ++i) others.push_back(&Add(10.0));
  const OnTimeSet set = Make();
  EXPECT_FALSE(set.Holds(late));
  for (const JobView* other : others) EXPECT_TRUE(set.Holds(*other));
}

TEST_F(OnTimeSetTest, WhoWasGivenLittleTimeFromTheStartIsNot) {
  const JobView& brief = Add(2.0, /*firm=*/true, /*roomy=*/false);
  for (int i = 0; i < 20; ++i) Add(10.0);
  EXPECT_TRUE(Make().Holds(brief));
}

TEST_F(OnTimeSetTest, WhoIsLateGoesBeforeWishesButNotBeforeDeadlines) {
  JobView& overdue = Add(-1.0, /*firm=*/false);
  Add(0.6, /*firm=*/false).alone = 0.5;  // fits just in time
  OnTimeSet wishes = Make();
  EXPECT_TRUE(wishes.PutInFront(overdue));
  Add(0.9).alone = 0.5;
  OnTimeSet set = Make();
  EXPECT_FALSE(set.PutInFront(overdue)) << "the client's deadline would be missed";
}

TEST_F(OnTimeSetTest, KeepsAReserveOfWhatTheClientGave) {
  JobView& patient = Add(-1.0, /*firm=*/false);
  Add(8.0).given = 8.0;  // 7.5 s are free, 0.8 s of them are kept
  patient.work = 6.6;
  OnTimeSet set = Make();
  EXPECT_TRUE(set.PutInFront(patient));
  patient.work = 6.8;
  OnTimeSet again = Make();
  EXPECT_FALSE(again.PutInFront(patient));
}

}  // namespace
}  // namespace stepcast
