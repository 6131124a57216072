// Random calls against a reference model: the short form. tests/fuzz/scheduler_fuzz.cc goes on for as long as one
// likes.

#include <gtest/gtest.h>

#include "tests/support/scheduler_fuzzer.h"

namespace stepcast {
namespace {

TEST(FuzzTest, TheSchedulerDoesWhatTheModelSays) {
  for (uint64_t seed = 1; seed <= 150; ++seed) EXPECT_EQ(FuzzScheduler(seed, 600), "") << "seed " << seed;
}

}  // namespace
}  // namespace stepcast
