#include "scheduler/decide/policies/lane_sequence.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/decide/lane_index.h"
#include "tests/support/policy_scene.h"

namespace stepcast {
namespace {

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TestJob Job(const char* tenant, int steps, double deadline = 0.0) {
  TestJob job{.steps = steps, .tenant = tenant, .arrival = At(0)};
  if (deadline > 0.0) job.deadline = At(deadline);
  return job;
}

// 0.1 s alone, 0.2 s for four guided jobs: 0.05 s of the device a step.
const std::vector<CostEntry> kCosts = {
    {{Phase::kDenoise, "emoji", 16, 16}, {{2, absl::Milliseconds(100)}, {8, absl::Milliseconds(200)}}}};

std::string OrderOf(const PolicyScene& scene, bool promises, const std::vector<double>& charges) {
  const SchedulerSnapshot snapshot = scene.Snapshot();
  LaneSequence sequence(snapshot, {.now = ToSeconds(At(0)), .fronts = 8, .promises = promises});
  std::string order;
  size_t i = 0;
  while (const JobView* view = sequence.Next()) {
    absl::StrAppend(&order, view->job->id().value, " ");
    sequence.Charge(i < charges.size() ? charges[i++] : 0.0);
  }
  return order;
}

TEST(LaneSequenceTest, PromisesAreKeptOutOfTurn) {
  // Job 1 is patient and its tenant's turn comes first; 2 has 0.61 s to spare beside its own 0.2 s.
  const PolicyScene tight({{.id = 1, .job = Job("a", 20)}, {.id = 2, .job = Job("b", 4, 0.9)}}, {}, {}, kCosts);
  EXPECT_EQ(OrderOf(tight, true, {}), "2 1 ");
  EXPECT_EQ(OrderOf(tight, false, {}), "1 2 ") << "nobody was promised anything";
  const PolicyScene roomy({{.id = 1, .job = Job("a", 10)}, {.id = 2, .job = Job("b", 4, 0.9)}}, {}, {}, kCosts);
  EXPECT_EQ(OrderOf(roomy, true, {}), "1 2 ") << "half a second fits";
}

TEST(LaneSequenceTest, WhoeverRunsPaysAndNobodyElse) {
  // 5 (of c) and 2 (of a) go out of turn; then it is the turn of 1 (of a), and the 20 s that it takes are a's.
  const PolicyScene scene({{.id = 1, .job = Job("a", 16)},
                           {.id = 2, .job = Job("a", 18, 100.0)},
                           {.id = 3, .job = Job("a", 30)},
                           {.id = 4, .job = Job("b", 30)},
                           {.id = 5, .job = Job("c", 4, 0.9)}},
                          {}, {}, kCosts);
  EXPECT_EQ(OrderOf(scene, true, {0.0, 10.0, 20.0}), "5 2 1 4 3 ");
}

}  // namespace
}  // namespace stepcast
