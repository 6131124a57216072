#include "scheduler/decide/eviction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/policy_scene.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<JobId> Evicted(const std::vector<SceneJob>& jobs, std::vector<JobId> planned, int most) {
  const PolicyScene scene(jobs, {}, {.max_resident_jobs = most});
  StepPlan plan;
  plan.jobs = std::move(planned);
  return ChooseEvictions(scene.Snapshot(), plan);
}

SceneJob Running(int64_t id, Priority priority, double deadline = 0.0) {
  SceneJob row{.id = id, .job = {.priority = priority, .arrival = absl::UnixEpoch()}, .resident = true};
  if (deadline > 0.0) row.job.deadline = absl::UnixEpoch() + absl::Seconds(deadline);
  return row;
}

TEST(EvictionTest, TheLeastUrgentMakeRoom) {
  const std::vector<SceneJob> jobs = {Running(1, Priority::kStandard, 9),
                                      Running(2, Priority::kBatch),
                                      Running(3, Priority::kStandard, 5),
                                      {.id = 4},
                                      {.id = 5}};
  EXPECT_THAT(Evicted(jobs, {JobId{4}}, 4), IsEmpty()) << "it fits";
  EXPECT_THAT(Evicted(jobs, {JobId{4}}, 3), ElementsAre(JobId{2}));
  EXPECT_THAT(Evicted(jobs, {JobId{4}, JobId{5}}, 3), ElementsAre(JobId{2}, JobId{1})) << "the later deadline";
  EXPECT_THAT(Evicted(jobs, {JobId{2}, JobId{4}}, 3), ElementsAre(JobId{1})) << "who is in the plan stays";
}

TEST(EvictionTest, WhoIsInFlightStays) {
  SceneJob flying = Running(1, Priority::kBatch);
  flying.in_flight = true;
  EXPECT_THAT(Evicted({flying, Running(2, Priority::kInteractive), {.id = 3}}, {JobId{3}}, 2), ElementsAre(JobId{2}));
}

TEST(ResidentSetTest, KeepsItsOrderAndIgnoresWhatItKnows) {
  const PolicyScene scene({{.id = 1}, {.id = 2}}, {}, {});
  JobView one = *scene.Snapshot().jobs[0], two = *scene.Snapshot().jobs[1];
  ResidentSet set;
  set.Enter(two);
  set.Enter(one);
  set.Enter(one);
  EXPECT_THAT(set.views(), ElementsAre(&one, &two));
  EXPECT_TRUE(one.resident);
  set.Leave(two);
  set.Leave(two);
  EXPECT_THAT(set.views(), ElementsAre(&one));
}

}  // namespace
}  // namespace stepcast
