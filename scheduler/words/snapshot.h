#pragma once
// What a policy sees of the scheduler.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

struct KeyView;
struct LaneView;

// What a policy may know of one live job. Stays at its address while the job lives.
struct JobView {
  const Job* job = nullptr;
  const KeyView* queue = nullptr;  // the key it waits for
  int rows = 1;                    // job->rows(), kept here because policies read it for every job
  int64_t last_plan = 0;           // id of the last plan that contained it; 0: never planned
  bool in_flight = false;          // in a plan that has not completed; must not be planned again before that
  bool preview_owed = false;       // a preview was due and skipped
  int64_t last_preview = 0;        // id of the last plan that showed one
  bool resident = false;           // its tensors are on the device: it has started and is not parked

  // For deadlines and shares. Seconds, times since the Unix epoch; predictions as of the job's last step.
  const LaneView* lane = nullptr;
  bool firm = false;        // `due` is the client's deadline
  double due = 0.0;         // that, or a soft one of our own
  double target = 0.0;      // a little before that: costs vary
  double alone = 0.0;       // what the job still needs if nothing else runs
  double work = 0.0;        // what it still takes from the device in full batches
  double elder_at = 0.0;    // from then on it is too old to be passed over for long
  bool probe = false;       // not given up before its deadline: it came after a pause, and what is known may be old
  double give_up_at = 0.0;  // when the client's deadline cannot be met any more even alone
};

// The live jobs whose next tick has one key, those in flight included, in order of arrival. Never empty.
struct KeyView {
  BatchKey key;
  std::vector<const JobView*> jobs;
  int64_t last_plan = 0;   // id of the newest plan for this key since it has jobs; 0: none yet
  int64_t since_plan = 0;  // id of the newest plan of all when the key got its first job
};

// What one tenant has used. Stays at its address while it has live jobs.
struct TenantView {
  std::string name;
  double weight = 1.0;
  // Seconds of ticks, each split equally over its rows, divided by the weight. A tenant that comes back from a pause
  // starts level with the least of those who stayed.
  double used = 0.0;
  double device_time = 0.0;  // seconds, undivided: what it really got
  int live = 0;
};

// The live jobs of one priority class and tenant. Never empty.
struct LaneView {
  Priority priority = Priority::kStandard;
  const TenantView* tenant = nullptr;
  std::vector<const JobView*> by_due;   // earliest first, then by id
  std::vector<const JobView*> by_work;  // shortest first, then by id
  double work = 0.0;                    // sum over its jobs, seconds
};

// What the scheduler remembers of its recent past.
struct TickMemory {
  int64_t newest_plan = 0;  // id of the newest plan of all
  double denoise = 0.0;     // seconds that the last denoise tick was expected to take; 0: there was none
  double aside = 0.0;       // seconds of other ticks planned since then
  // When the last job of each priority class came; infinite past if none did.
  std::array<absl::Time, 3> seen = {absl::InfinitePast(), absl::InfinitePast(), absl::InfinitePast()};
};

// A maintained view of the scheduler, not a copy made per tick. Valid until the scheduler's next call.
struct SchedulerSnapshot {
  absl::Span<const JobView* const> jobs = {};    // all live jobs, in order of arrival (of id)
  absl::Span<const KeyView* const> keys = {};    // all keys that have jobs, in order of BatchKey
  absl::Span<const JobView* const> group = {};   // live members of the group `request_level` runs; empty between groups
  absl::Span<const LaneView* const> lanes = {};  // all lanes that have jobs, most urgent class first, then by tenant
  absl::Span<const JobView* const> residents = {};         // jobs whose tensors are on the device, by id
  const JobView* elder = nullptr;                          // the job with the earliest elder_at; null without jobs
  const std::map<std::string, double>* weights = nullptr;  // of tenants that do not weigh 1; null: all weigh 1
  ExecutorLimits limits = {};
  TickMemory memory = {};
  // When the plans in flight are expected to be done; infinite past if there are none.
  absl::Time busy_until = absl::InfinitePast();
};

}  // namespace stepcast
