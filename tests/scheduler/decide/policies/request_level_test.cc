#include "scheduler/decide/policies/request_level.h"

#include <gtest/gtest.h>

#include "tests/support/policy_scene.h"

namespace stepcast {
namespace {

constexpr absl::Time kStart = absl::UnixEpoch();

TestJob Arrived(absl::Duration after) { return {.arrival = kStart + after}; }

TEST(RequestLevelPolicyTest, GathersEqualsOfTheOldestJob) {
  struct Case {
    const char* name;
    std::vector<SceneJob> jobs;
    const char* plan;
  };
  const Case cases[] = {
      {"nothing to do", {}, "idle"},
      {"seeds may differ",
       {{.id = 1, .job = {.seed = 1}}, {.id = 2, .job = {.seed = 2}}},
       "#0 denoise:emoji:16x16 rows=4 jobs=1,2 group=1,2"},
      {"steps may not", {{.id = 1}, {.id = 2, .job = {.steps = 5}}}, "#0 denoise:emoji:16x16 rows=2 jobs=1 group=1"},
      {"size may not", {{.id = 1}, {.id = 2, .job = {.width = 32}}}, "#0 denoise:emoji:16x16 rows=2 jobs=1 group=1"},
      {"guidance may not",
       {{.id = 1}, {.id = 2, .job = {.guidance_scale = 3.0}}},
       "#0 denoise:emoji:16x16 rows=2 jobs=1 group=1"},
      {"sampler may not",
       {{.id = 1}, {.id = 2, .job = {.evaluations_per_step = 2}}},
       "#0 denoise:emoji:16x16 rows=2 jobs=1 group=1"},
      {"model may not",
       {{.id = 1}, {.id = 2, .job = {.model = "digits"}}},
       "#0 denoise:emoji:16x16 rows=2 jobs=1 group=1"},
      {"only as many as fit in one denoise tick",
       {{.id = 1}, {.id = 2}, {.id = 3}},
       "#0 denoise:emoji:16x16 rows=4 jobs=1,2 group=1,2"},
      {"the first tick of a cold group is an encode, the group is whole",
       {{.id = 1, .position = 0}, {.id = 2, .position = -1}},
       "#0 encode:emoji rows=1 jobs=2 group=1,2"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(PolicyScene(c.jobs, {}, {.max_denoise_rows = 4}).PlanOf(RequestLevelPolicy(absl::ZeroDuration())), c.plan)
        << c.name;
  }
}

TEST(RequestLevelPolicyTest, NobodyJoinsUntilAllHaveLeft) {
  const ExecutorLimits limits{.max_denoise_rows = 8, .max_encode_jobs = 8, .max_decode_jobs = 1};
  const RequestLevelPolicy policy(absl::ZeroDuration());
  EXPECT_EQ(PolicyScene({{.id = 1, .position = 2, .in_group = true}, {.id = 2}}, {}, limits).PlanOf(policy),
            "#0 denoise:emoji:16x16 rows=2 jobs=1");
  EXPECT_EQ(
      PolicyScene({{.id = 1, .position = 4, .in_group = true}, {.id = 2, .position = 4, .in_group = true}, {.id = 3}},
                  {}, limits)
          .PlanOf(policy),
      "#0 decode:emoji:16x16 rows=1 jobs=1");
  EXPECT_EQ(PolicyScene({{.id = 1, .position = 2, .in_flight = true, .in_group = true}, {.id = 2}}, {}, limits)
                .PlanOf(policy),
            "idle");
}

TEST(RequestLevelPolicyTest, WaitsForAFullBatchButNotForEver) {
  const RequestLevelPolicy policy(absl::Seconds(2));
  const PolicyScene partial({{.id = 1, .job = Arrived(absl::Seconds(1))}}, {}, {.max_denoise_rows = 4});
  EXPECT_EQ(partial.PlanOf(policy, kStart + absl::Seconds(1)), "idle until 1970-01-01T00:00:03+00:00");
  EXPECT_EQ(partial.PlanOf(policy, kStart + absl::Milliseconds(2999)), "idle until 1970-01-01T00:00:03+00:00");
  EXPECT_EQ(partial.PlanOf(policy, kStart + absl::Seconds(3)), "#0 denoise:emoji:16x16 rows=2 jobs=1 group=1");
  const PolicyScene full({{.id = 1, .job = Arrived(absl::Seconds(1))}, {.id = 2, .job = Arrived(absl::Seconds(1))}}, {},
                         {.max_denoise_rows = 4});
  EXPECT_EQ(full.PlanOf(policy, kStart + absl::Seconds(1)), "#0 denoise:emoji:16x16 rows=4 jobs=1,2 group=1,2");
}

}  // namespace
}  // namespace stepcast
