#include "tests/support/policy_scene.h"

#include "tests/support/recording_sink.h"

namespace stepcast {

PolicyScene::PolicyScene(const std::vector<SceneJob>& jobs, const std::vector<ScenePlan>& plans, ExecutorLimits limits,
                         const std::vector<CostEntry>& costs)
    : limits_(limits), costs_(limits), lanes_(costs_, {}) {
  for (const CostEntry& entry : costs) costs_.SetCurve(entry.key, entry.points);
  const auto sink = std::make_shared<RecordingSink>();
  for (const SceneJob& row : jobs) {
    jobs_.push_back(row.position < 0 ? MakeJob(row.id, row.job, sink) : MakeJobAt(row.id, row.job, row.position, sink));
    JobView& view = views_.emplace_back();
    view.job = jobs_.back().get();
    view.in_flight = row.in_flight;
    view.last_plan = row.last_plan;
    index_.Insert(view, row.since_plan);
    lanes_.Insert(view, absl::UnixEpoch());
    if (row.resident) {
      view.resident = true;
      (void)jobs_.back()->MoveTo(JobStatus::kRunning);
      residents_.push_back(&view);
    }
    if (row.in_group) group_.push_back(&view);
  }
  for (const ScenePlan& plan : plans) index_.MarkPlanned(plan.key, plan.plan);
}

SchedulerSnapshot PolicyScene::Snapshot() const {
  return {.jobs = index_.jobs(),
          .keys = index_.keys(),
          .group = group_,
          .lanes = lanes_.lanes(),
          .residents = residents_,
          .elder = lanes_.elder(),
          .shares = &lanes_.shares(),
          .limits = limits_,
          .memory = memory_};
}

std::string PolicyScene::PlanOf(const SchedulingPolicy& policy, absl::Time now) const {
  const std::string first = policy.Next(Snapshot(), costs_, now).ToString();
  const std::string second = policy.Next(Snapshot(), costs_, now).ToString();
  return first == second ? first : "not idempotent: " + first + " then " + second;
}

}  // namespace stepcast
