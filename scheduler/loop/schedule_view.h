#pragma once
// What an operator sees of one loop: plain data, copied while its scheduler is locked.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/generation_request.h"
#include "core/job_id.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/words/job.h"

namespace stepcast {

// One live job.
struct ScheduledJob {
  JobId id;
  JobStatus status = JobStatus::kWaiting;
  std::string model;
  int width = 0;   // pixels
  int height = 0;  // pixels
  int position = 0;
  int evaluations = 0;
  Priority priority = Priority::kStandard;
  std::string tenant;
  absl::Time arrival;
  absl::Time deadline = absl::InfiniteFuture();
  absl::Time predicted_finish;
};

// What one tenant has and had.
struct TenantStanding {
  std::string tenant;
  double weight = 1.0;
  int waiting = 0;             // jobs that have not started
  int running = 0;             // jobs that have
  absl::Duration device_time;  // its share of all ticks so far, a tick's time split equally over its rows
};

struct ScheduleView {
  absl::Time now;
  std::string policy;
  std::vector<ScheduledJob> jobs;  // in order of arrival
  std::vector<TenantStanding> tenants;
  std::vector<CostEntry> costs;
  int64_t ticks = 0;
  int waiting = 0;
  int running = 0;
  absl::Duration backlog;  // predicted device time of everything admitted
};

class StepScheduler;

// `scheduler` as it stands at `now`.
ScheduleView MakeView(const StepScheduler& scheduler, absl::Time now);

}  // namespace stepcast
