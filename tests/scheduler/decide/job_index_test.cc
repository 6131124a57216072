#include "scheduler/decide/job_index.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

class JobIndexTest : public testing::Test {
 protected:
  JobView& Add(int64_t id, const TestJob& job, int position, int64_t newest_plan = 0) {
    jobs_.push_back(position < 0 ? MakeJob(id, job, sink_) : MakeJobAt(id, job, position, sink_));
    JobView& view = views_.emplace_back();
    view.job = jobs_.back().get();
    index_.Insert(view, newest_plan);
    return view;
  }

  Job& JobOf(const JobView& view) { return const_cast<Job&>(*view.job); }

  // "encode:emoji=1,2 denoise:emoji:16x16=3"
  std::string Keys() const {
    std::string text;
    for (const KeyView* key : index_.keys()) {
      absl::StrAppend(&text, text.empty() ? "" : " ", key->key.ToString(), "=");
      for (size_t i = 0; i < key->jobs.size(); ++i) {
        absl::StrAppend(&text, i == 0 ? "" : ",", key->jobs[i]->job->id().value);
      }
    }
    return text;
  }

  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::vector<std::unique_ptr<Job>> jobs_;
  std::deque<JobView> views_;
  JobIndex index_;
};

TEST_F(JobIndexTest, OrdersKeysByKeyAndJobsByArrival) {
  Add(1, {}, 0);
  Add(2, {}, -1);
  Add(3, {.width = 32}, 0);
  Add(4, {}, 4);
  Add(5, {}, 2);
  EXPECT_EQ(Keys(), "encode:emoji=2 denoise:emoji:16x8=3 denoise:emoji:16x16=1,5 decode:emoji:16x16=4");
  EXPECT_EQ(index_.jobs().size(), 5u);
}

TEST_F(JobIndexTest, AJobThatChangesPhaseTakesItsPlaceByArrival) {
  JobView& first = Add(1, {}, -1);
  Add(2, {}, 0);
  EXPECT_EQ(Keys(), "encode:emoji=1 denoise:emoji:16x16=2");
  JobOf(first).set_needs_encode(false);
  index_.Refresh(first, 3);
  EXPECT_EQ(Keys(), "denoise:emoji:16x16=1,2");
  EXPECT_EQ(first.rows, 2);
}

TEST_F(JobIndexTest, RowsFollowThePosition) {
  JobView& view = Add(1, {.steps = 2, .unguided_tail = 1}, 0);
  EXPECT_EQ(view.rows, 2);
  JobOf(view).Advance();
  index_.Refresh(view, 1);
  EXPECT_EQ(view.rows, 1);
}

TEST_F(JobIndexTest, AKeyRemembersItsPlansWhileItHasJobs) {
  JobView& view = Add(1, {}, 0, /*newest_plan=*/6);
  const BatchKey key = view.queue->key;
  EXPECT_EQ(view.queue->since_plan, 6);
  EXPECT_EQ(view.queue->last_plan, 0);
  index_.MarkPlanned(key, 9);
  JobView& second = Add(2, {}, 0, /*newest_plan=*/9);
  EXPECT_EQ(second.queue->last_plan, 9);
  EXPECT_EQ(second.queue->since_plan, 6) << "it had jobs all the time";
  index_.Erase(view);
  index_.Erase(second);
  EXPECT_EQ(Keys(), "");
  JobView& third = Add(3, {}, 0, /*newest_plan=*/9);
  EXPECT_EQ(third.queue->last_plan, 0);
  EXPECT_EQ(third.queue->since_plan, 9);
}

TEST_F(JobIndexTest, ErasesFromTheMiddle) {
  Add(1, {}, 0);
  JobView& middle = Add(2, {}, 0);
  Add(3, {}, 0);
  index_.Erase(middle);
  EXPECT_EQ(Keys(), "denoise:emoji:16x16=1,3");
}

}  // namespace
}  // namespace stepcast
