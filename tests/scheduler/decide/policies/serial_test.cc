#include "scheduler/decide/policies/serial.h"

#include <gtest/gtest.h>

#include "tests/support/policy_scene.h"

namespace stepcast {
namespace {

TEST(SerialPolicyTest, Table) {
  struct Case {
    const char* name;
    std::vector<SceneJob> jobs;
    const char* plan;
  };
  const Case cases[] = {
      {"nothing to do", {}, "idle"},
      {"the oldest job alone", {{.id = 1, .position = 2}, {.id = 2}}, "#0 denoise:emoji:16x16 rows=2 jobs=1"},
      {"its encode", {{.id = 1, .position = -1}, {.id = 2}}, "#0 encode:emoji rows=1 jobs=1"},
      {"its decode", {{.id = 3, .position = 4}, {.id = 4}}, "#0 decode:emoji:16x16 rows=1 jobs=3"},
      {"nobody overtakes a job in flight", {{.id = 1, .in_flight = true}, {.id = 2}}, "idle"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(PolicyScene(c.jobs, {}, {}).PlanOf(SerialPolicy()), c.plan) << c.name;
  }
}

}  // namespace
}  // namespace stepcast
