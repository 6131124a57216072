#include "scheduler/schedule_view.h"

#include "scheduler/step_scheduler.h"

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
          .evaluations = static_cast<int>(job.program().evaluations.size()),
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
                    .backlog = {}};
  for (const JobView* job : scheduler.Snapshot().jobs) {
    view.jobs.push_back(Describe(*job->job));
    view.backlog += scheduler.costs().Remaining(*job->job);
    view.jobs.back().predicted_finish = now + view.backlog;
  }
  return view;
}

}  // namespace stepcast
