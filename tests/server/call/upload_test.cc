#include "server/call/upload.h"

#include <optional>
#include <string>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/call/upload_budget.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {
namespace {

// A pool of one thread, which works only once it is let.
class BlockedPool {
 public:
  explicit BlockedPool(int max_queued) : pool_(1, max_queued) {
    pool_.Post([this] {
      begun_.Notify();
      go_.WaitForNotification();
    });
    begun_.WaitForNotification();
  }
  ~BlockedPool() { Go(); }

  CodecPool& pool() { return pool_; }
  void Go() {
    if (!go_.HasBeenNotified()) go_.Notify();
  }

 private:
  absl::Notification begun_;
  absl::Notification go_;
  CodecPool pool_;
};

struct Ended {
  absl::Notification notification;
  absl::Status status = absl::UnknownError("never");
  int times = 0;

  Upload::OnDone Callback() {
    return [this](absl::StatusOr<StreamRequest> request) {
      status = request.status();
      if (++times == 1) notification.Notify();
    };
  }
};

TEST(UploadTest, HandsOnWhatItMade) {
  Ended ended;
  CodecPool pool(1, 4);
  const auto upload = std::make_shared<Upload>(
      [](const std::function<bool()>& wanted) -> absl::StatusOr<StreamRequest> {
        EXPECT_TRUE(wanted());
        return StreamRequest();
      },
      ended.Callback());
  upload->Start(pool);
  ended.notification.WaitForNotification();
  EXPECT_TRUE(ended.status.ok()) << ended.status;
  upload->Cancel(absl::CancelledError("too late"));
  EXPECT_EQ(ended.times, 1);
}

TEST(UploadTest, CancelledBeforeItsTurnItIsDoneAtOnceAndNeverWorks) {
  Ended ended;
  bool worked = false;
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> file = held;
  {
    BlockedPool blocked(4);
    const auto upload = std::make_shared<Upload>(
        [&worked, held = std::move(held)](const std::function<bool()>&) -> absl::StatusOr<StreamRequest> {
          worked = true;
          return StreamRequest();
        },
        ended.Callback());
    upload->Start(blocked.pool());
    upload->Cancel(absl::CancelledError("gone"));
    EXPECT_TRUE(absl::IsCancelled(ended.status));
    EXPECT_TRUE(file.expired()) << "its files are dropped with it";
  }
  EXPECT_FALSE(worked);
  EXPECT_EQ(ended.times, 1);
}

TEST(UploadTest, CancelledAtWorkItIsDoneAtOnceAndNotWantedAnyMore) {
  Ended ended;
  absl::Notification begun;
  absl::Notification cancelled;
  std::optional<bool> wanted_later;
  {
    CodecPool pool(1, 4);
    const auto upload = std::make_shared<Upload>(
        [&](const std::function<bool()>& wanted) -> absl::StatusOr<StreamRequest> {
          begun.Notify();
          cancelled.WaitForNotification();
          wanted_later = wanted();
          return StreamRequest();
        },
        ended.Callback());
    upload->Start(pool);
    begun.WaitForNotification();
    upload->Cancel(absl::DeadlineExceededError("late"));
    EXPECT_TRUE(absl::IsDeadlineExceeded(ended.status));
    cancelled.Notify();
  }
  EXPECT_EQ(wanted_later, false);
  EXPECT_EQ(ended.times, 1);
}

TEST(UploadTest, AFullPoolRefuses) {
  Ended ended;
  BlockedPool blocked(1);
  ASSERT_TRUE(blocked.pool().TryPost([] {}));
  const auto upload = std::make_shared<Upload>(
      [](const std::function<bool()>&) -> absl::StatusOr<StreamRequest> { return StreamRequest(); }, ended.Callback());
  upload->Start(blocked.pool());
  EXPECT_EQ(ReasonOf(ended.status), "QUEUE_FULL");
  EXPECT_TRUE(RetryPushback(ended.status).has_value());
}

TEST(UploadBudgetTest, SharesAreGivenBack) {
  const auto budget = std::make_shared<UploadBudget>(100);
  EXPECT_FALSE(budget->TryTake(101).has_value());
  std::optional<UploadBudget::Share> first = budget->TryTake(60);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(budget->TryTake(41).has_value());
  EXPECT_TRUE(budget->TryTake(40).has_value());  // and gone
  EXPECT_EQ(budget->held(), 60);
  first->ShrinkTo(20);
  first->ShrinkTo(30);  // never more again
  EXPECT_EQ(budget->held(), 20);
  UploadBudget::Share moved = *std::move(first);
  first.reset();
  EXPECT_EQ(budget->held(), 20);
  moved = UploadBudget::Share();
  EXPECT_EQ(budget->held(), 0);
}

}  // namespace
}  // namespace stepcast
