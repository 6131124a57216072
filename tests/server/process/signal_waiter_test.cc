#include "server/process/signal_waiter.h"

#include <pthread.h>
#include <signal.h>

#include <thread>

#include <gtest/gtest.h>

namespace stepcast {
namespace {

using Wake = SignalWaiter::Wake;

TEST(SignalWaiterTest, WakesForSignalsNudgesAndTime) {
  auto waiter = SignalWaiter::Create();
  ASSERT_TRUE(waiter.ok()) << waiter.status();
  EXPECT_EQ((*waiter)->Wait(absl::ZeroDuration()), Wake::kTimeout);

  (*waiter)->Nudge();
  (*waiter)->Nudge();
  EXPECT_EQ((*waiter)->Wait(absl::InfiniteDuration()), Wake::kNudge);
  EXPECT_EQ((*waiter)->Wait(absl::ZeroDuration()), Wake::kTimeout) << "nudges add up to one";

  // To this thread: other threads of the test process do not block these signals.
  for (const int signal : {SIGTERM, SIGINT}) {
    (*waiter)->Nudge();
    ASSERT_EQ(pthread_kill(pthread_self(), signal), 0);
    EXPECT_EQ((*waiter)->Wait(absl::InfiniteDuration()), Wake::kSignal) << "signals come first";
    EXPECT_EQ((*waiter)->Wait(absl::InfiniteDuration()), Wake::kNudge);
  }
}

TEST(SignalWaiterTest, ANudgeFromAnotherThreadEndsTheWait) {
  auto waiter = SignalWaiter::Create();
  ASSERT_TRUE(waiter.ok());
  std::thread other([&] { (*waiter)->Nudge(); });
  EXPECT_EQ((*waiter)->Wait(absl::InfiniteDuration()), Wake::kNudge);
  other.join();
}

}  // namespace
}  // namespace stepcast
