#include "scheduler/decide/policies/row_packing.h"

#include <algorithm>

namespace stepcast {

StepPlan PackRows(const BatchKey& key, absl::Span<const JobView* const> candidates, const CostModel& costs) {
  StepPlan plan;
  plan.key = key;
  const int cap = costs.RowCap(key);
  const auto most = static_cast<size_t>(costs.limits().max_resident_jobs);
  plan.jobs.reserve(std::min(candidates.size(), static_cast<size_t>(cap)));
  for (const JobView* view : candidates) {
    if (plan.rows == cap || plan.jobs.size() == most) break;
    if (view->in_flight || plan.rows + view->rows > cap || view->queue->key != key) continue;
    plan.jobs.push_back(view->job->id());
    plan.rows += view->rows;
  }
  return plan;
}

}  // namespace stepcast
