#include "scheduler/decide/policy.h"

#include <algorithm>

namespace stepcast {

std::vector<const JobView*> SchedulingPolicy::Order(const SchedulerSnapshot& snapshot,
                                                    absl::Span<const JobView* const> more, absl::Time /*now*/) const {
  std::vector<const JobView*> order(snapshot.jobs.begin(), snapshot.jobs.end());
  order.insert(order.end(), more.begin(), more.end());
  return order;
}

int SchedulingPolicy::RowLimit(const BatchKey& key, const JobView& lead, int /*live_rows*/,
                               const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time /*now*/) const {
  return std::min<int64_t>(costs.RowCap(key), static_cast<int64_t>(snapshot.limits.max_resident_jobs) * lead.rows);
}

}  // namespace stepcast
