#include "scheduler/decide/policies/row_packing.h"

#include <gtest/gtest.h>

#include "tests/support/policy_scene.h"

namespace stepcast {
namespace {

constexpr double kUnguided = 1.0;

TEST(PackRowsTest, Table) {
  struct Case {
    const char* name;
    std::vector<SceneJob> jobs;
    int cap;
    const char* plan;
  };
  const TestJob one_row{.guidance_scale = kUnguided};
  const Case cases[] = {
      {"all fit", {{.id = 1}, {.id = 2}}, 4, "#0 denoise:emoji:16x16 rows=4 jobs=1,2"},
      {"the youngest waits", {{.id = 1}, {.id = 2}, {.id = 3}}, 4, "#0 denoise:emoji:16x16 rows=4 jobs=1,2"},
      {"a pair is never split", {{.id = 1}, {.id = 2}}, 3, "#0 denoise:emoji:16x16 rows=2 jobs=1"},
      {"a single row fills the gap",
       {{.id = 1}, {.id = 2}, {.id = 3, .job = one_row}},
       3,
       "#0 denoise:emoji:16x16 rows=3 jobs=1,3"},
      {"what is in flight is passed over",
       {{.id = 1, .in_flight = true}, {.id = 2}},
       2,
       "#0 denoise:emoji:16x16 rows=2 jobs=2"},
      {"five rows are not split where they fit",
       {{.id = 1}, {.id = 2, .job = {.rows = 5}}},
       6,
       "#0 denoise:emoji:16x16 rows=2 jobs=1"},
      {"nine rows that fit no tick take what is left",
       {{.id = 1}, {.id = 2, .job = {.rows = 9}}, {.id = 3}},
       6,
       "#0 denoise:emoji:16x16 rows=6 jobs=1,2 parts=2:0+4"},
      {"everything in flight", {{.id = 1, .in_flight = true}}, 2, "idle"},
  };
  for (const Case& c : cases) {
    const PolicyScene scene(c.jobs, {}, {.max_denoise_rows = c.cap});
    const SchedulerSnapshot snapshot = scene.Snapshot();
    EXPECT_EQ(PackRows(snapshot.jobs.front()->queue->key, snapshot.jobs, scene.costs()).ToString(), c.plan) << c.name;
  }
}

TEST(PackRowsTest, OtherPhasesArePassedOverAndHaveTheirOwnCaps) {
  const PolicyScene scene({{.id = 1, .position = -1},
                           {.id = 2, .position = 1},
                           {.id = 3, .position = -1},
                           {.id = 4, .position = -1},
                           {.id = 5, .position = 4}},
                          {}, {.max_denoise_rows = 16, .max_encode_jobs = 2, .max_decode_jobs = 1});
  const SchedulerSnapshot snapshot = scene.Snapshot();
  EXPECT_EQ(PackRows({Phase::kEncode, "emoji"}, snapshot.jobs, scene.costs()).ToString(),
            "#0 encode:emoji rows=2 jobs=1,3");
  EXPECT_EQ(PackRows({Phase::kDecode, "emoji", 16, 16}, snapshot.jobs, scene.costs()).ToString(),
            "#0 decode:emoji:16x16 rows=1 jobs=5");
}

}  // namespace
}  // namespace stepcast
