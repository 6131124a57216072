#include "scheduler/policy.h"

namespace stepcast {

std::vector<const JobView*> SchedulingPolicy::Order(const SchedulerSnapshot& snapshot,
                                                    absl::Span<const JobView* const> more, absl::Time /*now*/) const {
  std::vector<const JobView*> order(snapshot.jobs.begin(), snapshot.jobs.end());
  order.insert(order.end(), more.begin(), more.end());
  return order;
}

int SchedulingPolicy::RowLimit(const BatchKey& key, int /*live_rows*/, const CostModel& costs) const {
  return costs.RowCap(key);
}

}  // namespace stepcast
