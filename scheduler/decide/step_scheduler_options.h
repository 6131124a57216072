#pragma once
// What a StepScheduler is made with.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/decide/scheduler_observer.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

// When SchedulerInvariants are checked. A violation aborts the process.
enum class InvariantChecks { kOff, kOnDemand, kEveryCall };

struct StepSchedulerOptions {
  ExecutorLimits limits = {};  // max_denoise_rows >= 2, the others >= 1
  // A live job is told its progress at least this often; 0 < heartbeat.
  absl::Duration heartbeat = absl::Seconds(10);
  std::vector<CostEntry> initial_costs = {};          // from a profile or a cache
  std::map<std::string, double> tenant_weights = {};  // > 0; a tenant that is not named weighs 1
  SchedulerObserver* observer = nullptr;              // not owned; outlives the scheduler
  // Takes what the executor kept for a job that ends, just before the job's last event; null: it is destroyed there.
  std::function<void(std::unique_ptr<JobState>)> release = {};
#ifdef NDEBUG
  InvariantChecks checks = InvariantChecks::kOff;
#else
  InvariantChecks checks = InvariantChecks::kEveryCall;
#endif
};

}  // namespace stepcast
