#include "scheduler/decide/policies/fifo.h"

#include <algorithm>
#include <tuple>

#include "scheduler/decide/policies/row_packing.h"

namespace stepcast {
namespace {

bool HasReadyJob(const KeyView& key) {
  return std::any_of(key.jobs.begin(), key.jobs.end(), [](const JobView* view) { return !view->in_flight; });
}

// Smaller: has waited longer. A key that got its first job after plan n goes before the key of plan n itself,
// so that a newcomer joins at the next tick; newcomers of one tick go by their oldest job.
std::tuple<int64_t, bool, JobId> WaitsSince(const KeyView& key) {
  return {std::max(key.last_plan, key.since_plan), key.last_plan != 0, key.jobs.front()->job->id()};
}

}  // namespace

StepPlan FifoPolicy::Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time /*now*/) const {
  const KeyView* lead = nullptr;
  for (const KeyView* key : snapshot.keys) {
    if (HasReadyJob(*key) && (lead == nullptr || WaitsSince(*key) < WaitsSince(*lead))) lead = key;
  }
  if (lead == nullptr) return {};
  return PackRows(lead->key, lead->jobs, costs);
}

}  // namespace stepcast
