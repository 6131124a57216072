#include "server/process/drain.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RecordingActions final : public DrainActions {
 public:
  void AnnounceNotReady() override { log.push_back("not ready"); }
  void RefuseNew() override { log.push_back("refuse"); }
  void FinishAdmitted(absl::Time deadline) override {
    log.push_back(absl::StrCat("finish until ", absl::ToUnixSeconds(deadline)));
  }
  void CancelRest() override { log.push_back("cancel"); }
  bool Idle() const override { return idle; }

  std::vector<std::string> log;
  bool idle = false;
};

class DrainTest : public testing::Test {
 protected:
  void AdvanceBy(int seconds) {
    clock_.Advance(absl::Seconds(seconds));
    drain_.Advance();
  }

  SimulatedClock clock_;
  RecordingActions actions_;
  Drain drain_{{.linger = absl::Seconds(5), .timeout = absl::Seconds(60)}, actions_, clock_};
};

TEST_F(DrainTest, NothingHappensUnasked) {
  EXPECT_EQ(drain_.Advance(), absl::InfiniteDuration());
  EXPECT_EQ(drain_.stage(), DrainStage::kServing);
  EXPECT_THAT(actions_.log, IsEmpty());
}

TEST_F(DrainTest, LingersThenFinishesThenCancels) {
  drain_.Signal();
  EXPECT_EQ(drain_.Advance(), absl::Seconds(5));
  EXPECT_THAT(actions_.log, ElementsAre("not ready"));
  AdvanceBy(4);
  EXPECT_EQ(drain_.stage(), DrainStage::kLingering);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(drain_.Advance(), absl::Seconds(60));
  EXPECT_THAT(actions_.log, ElementsAre("not ready", "refuse", "finish until 65"));
  AdvanceBy(59);
  EXPECT_EQ(drain_.stage(), DrainStage::kFinishing);
  AdvanceBy(1);
  EXPECT_EQ(drain_.stage(), DrainStage::kCancelling);
  EXPECT_EQ(actions_.log.back(), "cancel");
  AdvanceBy(4);
  EXPECT_EQ(drain_.stage(), DrainStage::kCancelling);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(drain_.Advance(), absl::ZeroDuration());
  EXPECT_EQ(drain_.stage(), DrainStage::kDone);
}

TEST_F(DrainTest, EndsAsSoonAsNothingIsLeft) {
  drain_.Signal();
  actions_.idle = true;
  drain_.Advance();
  EXPECT_EQ(drain_.stage(), DrainStage::kLingering) << "balancers must have their time even when nothing runs";
  AdvanceBy(5);
  EXPECT_EQ(drain_.stage(), DrainStage::kDone);
  EXPECT_THAT(actions_.log, ElementsAre("not ready", "refuse", "finish until 65"));
}

TEST_F(DrainTest, ASecondSignalSkipsAhead) {
  struct Row {
    int first_wait;  // seconds between the signals
    std::vector<std::string> log;
  };
  const Row rows[] = {
      {0, {"not ready", "refuse", "finish until 60", "cancel"}},
      {2, {"not ready", "refuse", "finish until 62", "cancel"}},
      {7, {"not ready", "refuse", "finish until 65", "cancel"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.first_wait);
    SimulatedClock clock;
    RecordingActions actions;
    Drain drain({.linger = absl::Seconds(5), .timeout = absl::Seconds(60)}, actions, clock);
    drain.Signal();
    drain.Advance();
    for (int i = 0; i < row.first_wait; ++i) {
      clock.Advance(absl::Seconds(1));
      drain.Advance();
    }
    drain.Signal();
    EXPECT_EQ(drain.Advance(), Drain::kCancelGrace);
    EXPECT_EQ(actions.log, row.log);
    actions.idle = true;
    drain.Advance();
    EXPECT_EQ(drain.stage(), DrainStage::kDone);
  }
}

TEST_F(DrainTest, WithoutLingerAnIdleServerIsDoneAtOnce) {
  actions_.idle = true;
  Drain drain({.linger = absl::ZeroDuration(), .timeout = absl::Seconds(1)}, actions_, clock_);
  drain.Signal();
  EXPECT_EQ(drain.Advance(), absl::ZeroDuration());
  EXPECT_EQ(drain.stage(), DrainStage::kDone);
}

}  // namespace
}  // namespace stepcast
