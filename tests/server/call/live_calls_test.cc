#include "server/call/live_calls.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

class FakeCall final : public LiveCall {
 public:
  void Cancel(const absl::Status& reason) override {
    ++cancels;
    last = reason;
  }
  void CheckStall(absl::Time now) override { checked = now; }

  int cancels = 0;
  absl::Status last;
  absl::Time checked = absl::InfinitePast();
};

TEST(LiveCallsTest, TellsWhenTheLastCallLeaves) {
  int empty = 0;
  LiveCalls calls([&empty] { ++empty; });
  const auto one = std::make_shared<FakeCall>();
  const auto two = std::make_shared<FakeCall>();
  calls.Add(one);
  calls.Add(two);
  EXPECT_EQ(calls.size(), 2);
  calls.Remove(one);
  EXPECT_EQ(empty, 0);
  calls.Remove(two);
  EXPECT_EQ(empty, 1);
  EXPECT_EQ(calls.size(), 0);
}

TEST(LiveCallsTest, CloseCancelsCallsNowAndToCome) {
  LiveCalls calls;
  const auto before = std::make_shared<FakeCall>();
  calls.Add(before);
  calls.Close(absl::UnavailableError("stop"));
  EXPECT_EQ(before->cancels, 1);
  const auto after = std::make_shared<FakeCall>();
  calls.Add(after);
  EXPECT_EQ(after->cancels, 1);
  EXPECT_EQ(after->last.message(), "stop");
  calls.Close(absl::UnavailableError("again"));
  EXPECT_EQ(before->cancels, 2);
}

TEST(LiveCallsTest, ChecksEveryCallForStalls) {
  LiveCalls calls;
  const auto one = std::make_shared<FakeCall>();
  const auto two = std::make_shared<FakeCall>();
  calls.Add(one);
  calls.Add(two);
  calls.CheckStalls(absl::UnixEpoch());
  EXPECT_EQ(one->checked, absl::UnixEpoch());
  EXPECT_EQ(two->checked, absl::UnixEpoch());
}

}  // namespace
}  // namespace stepcast
