#include <gtest/gtest.h>

#include "scheduler/decide/policy.h"

namespace stepcast {
namespace {

TEST(PolicyFactoryTest, MakesEveryPolicyByName) {
  for (const char* name : {"slo", "serial", "fifo", "request_level"}) {
    const auto policy = MakePolicy({.name = name});
    ASSERT_TRUE(policy.ok()) << policy.status();
    EXPECT_EQ((*policy)->name(), name);
  }
}

TEST(PolicyFactoryTest, RefusalsNameTheFieldAndWhatIsAllowed) {
  EXPECT_EQ(MakePolicy({.name = "lifo"}).status(),
            absl::InvalidArgumentError("scheduler.policy is 'lifo'; known: slo, fifo, request_level, serial"));
  EXPECT_EQ(MakePolicy({.max_queue_delay = absl::Seconds(-1)}).status(),
            absl::InvalidArgumentError("scheduler.max_queue_delay is -1s; it must be finite and not negative"));
}

}  // namespace
}  // namespace stepcast
