#pragma once
// A scheduler's snapshot, staged by hand: rows in, one plan line out.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/decide/job_index.h"
#include "scheduler/decide/lane_index.h"
#include "scheduler/decide/policy.h"
#include "tests/support/job_builder.h"

namespace stepcast {

// One live job of a scene.
struct SceneJob {
  int64_t id = 1;
  // Evaluations done: -1 waits for its encode, 0..steps-1 denoises, steps waits for its decode.
  int position = 0;
  TestJob job = {};
  int64_t since_plan = 0;  // newest plan when it came to its key
  bool in_flight = false;
  bool in_group = false;
  bool resident = false;
  int64_t last_plan = 0;
};

// "The newest plan for this key was number `plan`."
struct ScenePlan {
  BatchKey key = {};
  int64_t plan = 0;
};

class PolicyScene {
 public:
  PolicyScene(const std::vector<SceneJob>& jobs, const std::vector<ScenePlan>& plans, ExecutorLimits limits,
              const std::vector<CostEntry>& costs = {});

  SchedulerSnapshot Snapshot() const;

  // What `policy` plans at `now`, as a line. Asks twice: a policy has no memory.
  std::string PlanOf(const SchedulingPolicy& policy, absl::Time now = absl::UnixEpoch()) const;

  const CostModel& costs() const { return costs_; }
  LaneIndex& lanes() { return lanes_; }
  // What the scheduler remembers; nothing at first.
  TickMemory& memory() { return memory_; }

 private:
  std::vector<std::unique_ptr<Job>> jobs_;
  std::deque<JobView> views_;  // a deque for its stable addresses
  JobIndex index_;
  std::vector<const JobView*> group_;
  const ExecutorLimits limits_;
  CostModel costs_;
  LaneIndex lanes_;
  TickMemory memory_;
  std::vector<const JobView*> residents_;
};

}  // namespace stepcast
