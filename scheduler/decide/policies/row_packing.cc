#include "scheduler/decide/policies/row_packing.h"

#include <algorithm>

namespace stepcast {

int RowsFor(const JobView& view, int room, int cap) {
  if (view.rows <= room) return view.rows;
  // Whoever does not fit a tick at all takes what there is; the others wait for a tick that holds them.
  return view.job->next().rows > cap ? room : 0;
}

void Seat(const JobView& view, int rows, StepPlan& plan) {
  if (rows < view.rows || view.job->rows_done() > 0) {
    plan.parts.push_back({.job = view.job->id(), .first_row = view.job->rows_done(), .rows = rows});
  }
  plan.jobs.push_back(view.job->id());
  plan.rows += rows;
}

StepPlan PackRows(const BatchKey& key, absl::Span<const JobView* const> candidates, const CostModel& costs) {
  StepPlan plan;
  plan.key = key;
  const int cap = costs.RowCap(key);
  const auto most = static_cast<size_t>(costs.limits().max_resident_jobs);
  plan.jobs.reserve(std::min(candidates.size(), static_cast<size_t>(cap)));
  for (const JobView* view : candidates) {
    if (plan.rows == cap || plan.jobs.size() == most) break;
    if (view->in_flight || view->queue->key != key) continue;
    const int rows = RowsFor(*view, cap - plan.rows, cap);
    if (rows > 0) Seat(*view, rows, plan);
  }
  return plan;
}

}  // namespace stepcast
