#pragma once
// What a StepScheduler keeps of a live job, and of a plan that has not completed.

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "scheduler/decide/job_reporter.h"
#include "scheduler/words/job.h"
#include "scheduler/words/snapshot.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// Stays where it is from Submit to the job's end: the indexes hold its view.
struct LiveJob {
  LiveJob(std::unique_ptr<Job> the_job, absl::Time now)
      : job(std::move(the_job)), reporter(*job), submitted(now), last_told(now) {
    view.job = job.get();
    view.rows = job->rows();
  }

  const std::unique_ptr<Job> job;
  JobReporter reporter;
  JobView view;
  absl::Status leaving;  // not OK: how it ends when its plan completes
  const absl::Time submitted;
  absl::Time last_told;
};

// A plan between Next and Complete. Its jobs stay alive until then.
struct Flight {
  StepPlan plan;
  absl::Time planned;
  std::vector<LiveJob*> records;  // in the plan's order
  std::vector<int> rows;          // of each
  int beside = 0;                 // WorkItem::beside of all
  absl::Duration previews;        // what they add to the tick

  absl::Time expected_end() const { return planned + plan.predicted; }

  // What each of its jobs had of the `elapsed` that it took, by rows.
  std::vector<DeviceCost> Shares(absl::Duration elapsed) const;
};

}  // namespace stepcast
