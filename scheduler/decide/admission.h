#pragma once
// Who may come in.

#include <limits>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/words/job.h"

namespace stepcast {

class StepScheduler;

// Bounds of one tenant; the defaults bound nothing.
struct TenantLimits {
  int max_jobs = std::numeric_limits<int>::max();             // jobs admitted and not ended, >= 1
  int max_queued = std::numeric_limits<int>::max();           // jobs admitted but not started, >= 1
  absl::Duration max_queued_work = absl::InfiniteDuration();  // predicted device time of the queued ones, > 0
};

struct AdmissionLimits {
  int max_queued_jobs = 64;                                   // jobs admitted but not started, 1..100000
  absl::Duration max_queued_work = absl::InfiniteDuration();  // predicted device time of those, > 0
  TenantLimits tenant = {};                                   // of every tenant that `tenants` does not name
  std::map<std::string, TenantLimits> tenants = {};

  const TenantLimits& Of(const std::string& name) const {
    const auto found = tenants.find(name);
    return found == tenants.end() ? tenant : found->second;
  }
};

// What an admitted request may expect.
struct AdmissionVerdict {
  int queue_position = 0;     // jobs ahead of the first one that have not started
  absl::Duration wait = {};   // until the first of its jobs starts
  absl::Duration total = {};  // until the last of its jobs ends
};

// Bounds are counts and predicted device time. A request with a deadline is refused at once when playing the queue
// forward with it in it ends later, with a margin of 7 %; any request, when it makes somebody late who was let in with
// a deadline. After a pause (StepScheduler::Rested) one picture with a deadline is let in even if it seems up to eight
// times too slow, because what is known of the costs may be of a bad time.
//
// Whether `request`, the jobs of one call, may join `scheduler` now; all or none. Submit and the dry run both ask here.
// Errors: RESOURCE_EXHAUSTED with reason QUEUE_FULL, TENANT_LIMIT or DEADLINE_UNREACHABLE and a retry delay
// (core/error_reason.h); DEADLINE_EXCEEDED (a deadline is not in the future); INVALID_ARGUMENT (no image).
absl::StatusOr<AdmissionVerdict> CheckAdmission(const AdmissionLimits& limits, absl::Span<const JobSpec> request,
                                                const StepScheduler& scheduler, absl::Time now);

// Learns from a refusal by CheckAdmission that was told to somebody (promise_books.h); a dry run teaches nothing.
void NoteRefusal(absl::Span<const JobSpec> request, const absl::Status& refusal, StepScheduler& scheduler,
                 absl::Time now);

}  // namespace stepcast
