#include "server/process/bounded_stop.h"

#include <pthread.h>
#include <signal.h>

#include <functional>
#include <memory>

#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"

namespace stepcast {
namespace {

// Work that never ends by itself. The thread that is left behind shares it.
struct StuckWork {
  std::shared_ptr<absl::Notification> release = std::make_shared<absl::Notification>();
  std::shared_ptr<absl::Notification> released = std::make_shared<absl::Notification>();

  std::function<void()> Run() const {
    return [release = release, released = released] {
      release->WaitForNotification();
      released->Notify();
    };
  }
  void End() const {
    release->Notify();
    released->WaitForNotification();
  }
};

// Never destroyed: threads that were left behind nudge it when they end.
SignalWaiter& Signals() {
  static SignalWaiter* const signals = SignalWaiter::Create()->release();
  return *signals;
}

TEST(BoundedStopTest, WorkThatEndsIsDone) {
  bool worked = false;
  EXPECT_TRUE(FinishesInTime([&] { worked = true; }, absl::Hours(1), Signals(), RealClock()));
  EXPECT_TRUE(worked);
}

TEST(BoundedStopTest, WorkThatDoesNotIsLeftBehind) {
  const StuckWork work;
  EXPECT_FALSE(FinishesInTime(work.Run(), absl::ZeroDuration(), Signals(), RealClock()));
  work.End();
}

TEST(BoundedStopTest, ASignalEndsTheWait) {
  const StuckWork work;
  Signals();  // which blocks them
  ASSERT_EQ(pthread_kill(pthread_self(), SIGTERM), 0);
  EXPECT_FALSE(FinishesInTime(work.Run(), absl::Hours(1), Signals(), RealClock()));
  work.End();
}

}  // namespace
}  // namespace stepcast
