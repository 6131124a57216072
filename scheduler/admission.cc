#include "scheduler/admission.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "scheduler/step_scheduler.h"

namespace stepcast {
namespace {

absl::Duration BacklogOf(const StepScheduler& scheduler) {
  absl::Duration backlog;
  for (const JobView* view : scheduler.Snapshot().jobs) backlog += scheduler.costs().Remaining(*view->job);
  return backlog;
}

absl::Status QueueFull(int limit, int waiting, size_t images) {
  return WithReason(absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", waiting, " of at most ", limit,
                                                              " jobs wait and the request brings ", images)),
                    "QUEUE_FULL");
}

}  // namespace

absl::StatusOr<AdmissionVerdict> CheckAdmission(const AdmissionLimits& limits, absl::Span<const JobSpec> request,
                                                const StepScheduler& scheduler, absl::Time now) {
  if (request.empty()) return absl::InvalidArgumentError("a request needs at least one image");
  for (const JobSpec& spec : request) {
    if (spec.deadline > now) continue;
    return WithReason(
        absl::DeadlineExceededError(absl::StrCat("the deadline passed ", absl::FormatDuration(now - spec.deadline),
                                                 " before the request could be admitted")),
        "DEADLINE");
  }
  const absl::Duration backlog = BacklogOf(scheduler);
  // Written so that it cannot overflow.
  if (request.size() > static_cast<size_t>(std::max(0, limits.max_queued_jobs - scheduler.waiting()))) {
    return WithRetryDelay(QueueFull(limits.max_queued_jobs, scheduler.waiting(), request.size()),
                          std::max(backlog, absl::Seconds(1)));
  }
  AdmissionVerdict verdict{.queue_position = scheduler.waiting(), .wait = backlog, .total = backlog};
  for (const JobSpec& spec : request) verdict.total += scheduler.costs().Isolated(spec);
  return verdict;
}

}  // namespace stepcast
