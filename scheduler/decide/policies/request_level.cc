#include "scheduler/decide/policies/request_level.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "scheduler/decide/policies/row_packing.h"

namespace stepcast {
namespace {

// Everything that must be equal for two generations to run in lock-step.
auto Settings(const GenerationRequest& request) {
  return std::tie(request.model->id, request.width, request.height, request.steps, request.sampler,
                  request.sigma_schedule, request.timestep_spacing, request.guidance_scale, request.guidance_rescale,
                  request.guidance_start, request.guidance_end, request.eta, request.sampler_options, request.timesteps,
                  request.sigmas, request.classifier_scale);
}

// The next tick of a group: what the member that is furthest behind waits for, so that all stay in lock-step.
StepPlan NextOfGroup(absl::Span<const JobView* const> group, const CostModel& costs) {
  const JobView* lead = group.front();
  for (const JobView* view : group) {
    if (view->in_flight) return {};
    if (view->job->place() < lead->job->place()) lead = view;
  }
  return PackRows(lead->queue->key, group, costs);
}

}  // namespace

StepPlan RequestLevelPolicy::Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const {
  if (!snapshot.group.empty()) return NextOfGroup(snapshot.group, costs);
  if (snapshot.jobs.empty()) return {};

  const Job& oldest = *snapshot.jobs.front()->job;
  const int rows = costs.RowCap(oldest.work().lead().key);
  const auto capacity = static_cast<size_t>(std::max(1, rows / oldest.work().most_rows()));
  std::vector<const JobView*> members;
  for (const JobView* view : snapshot.jobs) {
    if (members.size() == capacity) break;
    if (Settings(view->job->request()) == Settings(oldest.request())) members.push_back(view);
  }

  const absl::Time due = oldest.spec().arrival + max_queue_delay_;
  if (members.size() < capacity && now < due) {
    StepPlan plan;
    plan.wake_at = due;
    return plan;
  }
  StepPlan plan = NextOfGroup(members, costs);
  for (const JobView* view : members) plan.group.push_back(view->job->id());
  return plan;
}

}  // namespace stepcast
