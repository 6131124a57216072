#include "scheduler/decide/policies/serial.h"

#include "scheduler/decide/policies/row_packing.h"

namespace stepcast {

StepPlan SerialPolicy::Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time /*now*/) const {
  if (snapshot.jobs.empty()) return {};
  return PackRows(snapshot.jobs.front()->queue->key, snapshot.jobs.first(1), costs);
}

}  // namespace stepcast
