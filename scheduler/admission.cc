#include "scheduler/admission.h"

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"

namespace stepcast {

absl::Status CheckAdmission(const AdmissionLimits& limits, const AdmissionRequest& request, int waiting,
                            absl::Time now) {
  if (request.images < 1) return absl::InvalidArgumentError("a request needs at least one image");
  if (request.deadline <= now) {
    return WithReason(
        absl::DeadlineExceededError(absl::StrCat("the deadline passed ", absl::FormatDuration(now - request.deadline),
                                                 " before the request could be admitted")),
        "DEADLINE");
  }
  // Written so that it cannot overflow.
  if (request.images > limits.max_queued_jobs - waiting) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", waiting, " of at most ",
                                                                limits.max_queued_jobs,
                                                                " jobs wait and the request brings ", request.images)),
                      "QUEUE_FULL");
  }
  return absl::OkStatus();
}

}  // namespace stepcast
