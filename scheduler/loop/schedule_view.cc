#include "scheduler/loop/schedule_view.h"

#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "scheduler/decide/forecast.h"
#include "scheduler/decide/step_scheduler.h"

namespace stepcast {
namespace {

ScheduledJob Describe(const Job& job) {
  const GenerationRequest& request = job.request();
  return {.id = job.id(),
          .status = job.status(),
          .model = request.model->id,
          .width = request.width,
          .height = request.height,
          .position = job.position(),
          .evaluations = job.work().evaluations(),
          .priority = request.priority,
          .tenant = request.tenant,
          .arrival = job.spec().arrival,
          .deadline = job.spec().deadline,
          .predicted_finish = absl::InfiniteFuture()};
}

}  // namespace

ScheduleView MakeView(const StepScheduler& scheduler, absl::Time now) {
  ScheduleView view{.now = now,
                    .policy = std::string(scheduler.policy().name()),
                    .jobs = {},
                    .tenants = {},
                    .costs = scheduler.costs().Table(),
                    .ticks = scheduler.plans_made(),
                    .waiting = scheduler.waiting(),
                    .running = scheduler.live() - scheduler.waiting(),
                    .backlog = scheduler.lanes().backlog()};
  const SchedulerSnapshot snapshot = scheduler.Snapshot();
  absl::flat_hash_map<const JobView*, absl::Time> finish;
  for (const Expectation& job : Forecast(scheduler.policy(), snapshot, {}, scheduler.costs(), now, /*all=*/true)) {
    finish.emplace(job.view, job.finish);
  }
  std::map<std::string, TenantStanding> tenants;
  for (const auto& [name, tenant] : scheduler.lanes().tenants()) {
    tenants[name] = {.tenant = name, .weight = tenant.share->weight, .device_time = absl::Seconds(tenant.device_time)};
  }
  for (const JobView* job : snapshot.jobs) {
    view.jobs.push_back(Describe(*job->job));
    view.jobs.back().predicted_finish = finish[job];
    TenantStanding& tenant = tenants[job->job->request().tenant];
    ++(job->job->status() == JobStatus::kWaiting ? tenant.waiting : tenant.running);
  }
  for (auto& [name, tenant] : tenants) view.tenants.push_back(std::move(tenant));
  return view;
}

}  // namespace stepcast
