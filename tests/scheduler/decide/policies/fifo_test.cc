#include "scheduler/decide/policies/fifo.h"

#include <gtest/gtest.h>

#include "tests/support/policy_scene.h"

namespace stepcast {
namespace {

const BatchKey kSmall{Phase::kDenoise, "emoji", 8, 8};
const BatchKey kLarge{Phase::kDenoise, "emoji", 16, 16};
const BatchKey kEncode{Phase::kEncode, "emoji"};
const BatchKey kDecodeLarge{Phase::kDecode, "emoji", 16, 16};
const TestJob kSmallJob{.width = 32, .height = 32};

struct Case {
  const char* name;
  std::vector<SceneJob> jobs;
  std::vector<ScenePlan> plans;
  const char* plan;
};

void Check(const Case& c, ExecutorLimits limits = {}) {
  EXPECT_EQ(PolicyScene(c.jobs, c.plans, limits).PlanOf(FifoPolicy()), c.plan) << c.name;
}

TEST(FifoPolicyTest, TheKeyThatWaitedLongestLeads) {
  const Case cases[] = {
      {"nothing to do", {}, {}, "idle"},
      {"sizes alternate: the large one had plan 7",
       {{.id = 1}, {.id = 2, .job = kSmallJob}},
       {{kLarge, 7}, {kSmall, 6}},
       "#0 denoise:emoji:8x8 rows=2 jobs=2"},
      {"and back",
       {{.id = 1}, {.id = 2, .job = kSmallJob}},
       {{kLarge, 7}, {kSmall, 8}},
       "#0 denoise:emoji:16x16 rows=2 jobs=1"},
      {"a key that came after plan 7 goes before the key of plan 7",
       {{.id = 1}, {.id = 2, .job = kSmallJob, .since_plan = 7}},
       {{kLarge, 7}},
       "#0 denoise:emoji:8x8 rows=2 jobs=2"},
      {"a key that came after plan 7 goes behind the key of plan 6",
       {{.id = 1}, {.id = 2, .job = kSmallJob, .since_plan = 7}},
       {{kLarge, 6}},
       "#0 denoise:emoji:16x16 rows=2 jobs=1"},
      {"newcomers of one moment go by their oldest job",
       {{.id = 1}, {.id = 2, .job = kSmallJob}},
       {},
       "#0 denoise:emoji:16x16 rows=2 jobs=1"},
      {"a key in flight lets others go",
       {{.id = 1, .in_flight = true}, {.id = 2, .job = kSmallJob}},
       {{kSmall, 9}, {kLarge, 8}},
       "#0 denoise:emoji:8x8 rows=2 jobs=2"},
  };
  for (const Case& c : cases) Check(c);
}

TEST(FifoPolicyTest, PhasesNeitherStarveNorAreStarved) {
  const std::vector<SceneJob> jobs = {{.id = 1, .position = 4}, {.id = 2, .position = 1}, {.id = 3, .position = -1}};
  Check(
      {"encode waited longest", jobs, {{kEncode, 1}, {kLarge, 2}, {kDecodeLarge, 3}}, "#0 encode:emoji rows=1 jobs=3"});
  Check({"denoise waited longest",
         jobs,
         {{kEncode, 4}, {kLarge, 2}, {kDecodeLarge, 3}},
         "#0 denoise:emoji:16x16 rows=2 jobs=2"});
  Check({"decode waited longest",
         jobs,
         {{kEncode, 4}, {kLarge, 5}, {kDecodeLarge, 3}},
         "#0 decode:emoji:16x16 rows=1 jobs=1"});
}

TEST(FifoPolicyTest, InsideAKeyArrivalDecides) {
  const TestJob one_row{.guidance_scale = 1.0};
  Check({"up to the cap", {{.id = 4}, {.id = 2}, {.id = 3}}, {}, "#0 denoise:emoji:16x16 rows=4 jobs=2,3"},
        {.max_denoise_rows = 4});
  Check({"guided and unguided mix",
         {{.id = 1, .job = one_row}, {.id = 2}, {.id = 3, .job = one_row}, {.id = 4}},
         {},
         "#0 denoise:emoji:16x16 rows=4 jobs=1,2,3"},
        {.max_denoise_rows = 5});
  Check({"positions mix", {{.id = 1, .position = 3}, {.id = 2}}, {}, "#0 denoise:emoji:16x16 rows=4 jobs=1,2"},
        {.max_denoise_rows = 4});
}

}  // namespace
}  // namespace stepcast
