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
#include "scheduler/words/recent_work.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

struct KeyView;
struct LaneView;
struct WorkPrice;

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

  // What its work costs, by line of job->work().
  std::vector<const WorkPrice*> prices = {};

  // For deadlines and shares. Seconds, times since the Unix epoch; predictions as of the job's last step.
  const LaneView* lane = nullptr;
  bool firm = false;        // `due` is the client's deadline
  double due = 0.0;         // that, or a soft one of our own
  double target = 0.0;      // a little before that: costs vary
  double alone = 0.0;       // what the job still needs if nothing else runs
  double crowded = 0.0;     // what it still needs in full batches, at least `alone`
  double given = 0.0;       // from its arrival to `due`
  bool roomy = false;       // that is enough for full batches, with some to spare
  double work = 0.0;        // what it still takes from the device in full batches
  double elder_at = 0.0;    // from then on it is too old to be passed over for long
  bool probe = false;       // not given up before its deadline: it came after a pause, and what is known may be old
  double give_up_at = 0.0;  // when the client's deadline cannot be met any more even alone
};

// The order of deadlines: earliest first, then by id.
inline bool DueBefore(const JobView* a, const JobView* b) {
  return a->due != b->due ? a->due < b->due : a->job->id() < b->job->id();
}

// The live jobs whose next tick has one key, those in flight included, in order of arrival. Never empty.
struct KeyView {
  BatchKey key;
  std::vector<const JobView*> jobs;
  int64_t last_plan = 0;   // id of the newest plan for this key since it has jobs; 0: none yet
  int64_t since_plan = 0;  // id of the newest plan of all when the key got its first job
};

// What came of one priority class lately.
struct ArrivingWork {
  RecentWork all;    // in full batches, as JobView::work
  RecentWork alone;  // as less urgent classes feel it: in ticks that have little company
  RecentWork soft;   // of `all` what came without a client's deadline
  // Sums of each job's `alone` and `soft`, squared: how much of it comes in lumps.
  RecentWork alone_squared;
  RecentWork soft_squared;
};

// A share of the device: that of one tenant with a weight of its own, or the one of weight 1 that all others have
// together. Stays at its address.
struct ShareView {
  double weight = 1.0;
  // Seconds of ticks, each split equally over its rows, divided by the weight. A share that comes back from a pause
  // starts level with the least of those that stayed.
  double used = 0.0;
  int live = 0;     // jobs
  int tenants = 0;  // that have some
  std::array<ArrivingWork, 3> arriving = {};
};

// What one tenant has used. Stays at its address while it has live jobs.
struct TenantView {
  std::string name;
  const ShareView* share = nullptr;
  double used = 0.0;         // seconds as the share's, undivided: tenants of one share take turns by it
  double device_time = 0.0;  // seconds: what it really got
  int live = 0;
  std::array<RecentWork, 3> soft = {};  // of the share's
};

// All shares. Only LaneIndex changes them.
struct Shares {
  std::map<std::string, ShareView> named = {};
  ShareView common = {};

  const ShareView& Of(const std::string& tenant) const {
    const auto found = named.find(tenant);
    return found == named.end() ? common : found->second;
  }
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
  absl::Span<const JobView* const> residents = {};  // jobs whose tensors are on the device, by id
  const JobView* elder = nullptr;                   // the job with the earliest elder_at; null without jobs
  const Shares* shares = nullptr;                   // null: all tenants have one together
  ExecutorLimits limits = {};
  TickMemory memory = {};
  // When the plans in flight are expected to be done; infinite past if there are none.
  absl::Time busy_until = absl::InfinitePast();
};

}  // namespace stepcast
