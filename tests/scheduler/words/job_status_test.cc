#include "scheduler/words/job_status.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace stepcast {
namespace {

using S = JobStatus;

constexpr S kAll[] = {S::kWaiting,   S::kEncoding, S::kRunning,   S::kParked, S::kDecoding,
                      S::kSucceeded, S::kFailed,   S::kCancelled, S::kExpired};

TEST(JobStatusTest, TheTransitionTableIsExactlyThis) {
  const std::set<std::pair<S, S>> forward = {
      {S::kWaiting, S::kEncoding},
      {S::kWaiting, S::kRunning},
      {S::kWaiting, S::kDecoding},
      {S::kEncoding, S::kRunning},
      {S::kRunning, S::kParked},
      {S::kParked, S::kRunning},
      {S::kRunning, S::kDecoding},
      {S::kDecoding, S::kSucceeded},
      // A stage has ended, and the next one begins.
      {S::kRunning, S::kEncoding},
      {S::kEncoding, S::kDecoding},
      {S::kDecoding, S::kEncoding},
      {S::kDecoding, S::kRunning},
  };
  for (const S from : kAll) {
    for (const S to : kAll) {
      const bool bad_end = to == S::kFailed || to == S::kCancelled || to == S::kExpired;
      const bool allowed = IsTerminal(from) ? false : bad_end || forward.contains({from, to});
      EXPECT_EQ(CanMove(from, to), allowed) << JobStatusName(from) << " to " << JobStatusName(to);
    }
  }
}

TEST(JobStatusTest, FourStatesAreTerminal) {
  std::vector<std::string> terminal;
  for (const S status : kAll) {
    if (IsTerminal(status)) terminal.emplace_back(JobStatusName(status));
  }
  EXPECT_EQ(terminal, (std::vector<std::string>{"succeeded", "failed", "cancelled", "expired"}));
}

TEST(JobStatusTest, EveryPhaseHasAState) {
  for (const Phase phase : kPhases) EXPECT_FALSE(IsTerminal(StatusIn(phase))) << PhaseName(phase);
  EXPECT_EQ(StatusIn(Phase::kEncodePicture), S::kEncoding);
  EXPECT_EQ(StatusIn(Phase::kDenoise), S::kRunning);
  EXPECT_EQ(StatusIn(Phase::kUpscale), S::kDecoding);
}

}  // namespace
}  // namespace stepcast
