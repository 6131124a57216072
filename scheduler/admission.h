#pragma once
// Who may come in.

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace stepcast {

struct AdmissionLimits {
  int max_queued_jobs = 64;  // jobs admitted but not started, 1..100000
};

// What one request asks for. All its images are admitted or none.
struct AdmissionRequest {
  int images = 1;
  absl::Time deadline = absl::InfiniteFuture();
};

// OK when `request` may join `waiting` jobs that have not started.
// Errors: RESOURCE_EXHAUSTED (queue full), DEADLINE_EXCEEDED (the deadline is not in the future),
// INVALID_ARGUMENT (no image).
absl::Status CheckAdmission(const AdmissionLimits& limits, const AdmissionRequest& request, int waiting,
                            absl::Time now);

}  // namespace stepcast
