#include "absl/strings/str_cat.h"
#include "scheduler/decide/policies/fifo.h"
#include "scheduler/decide/policies/request_level.h"
#include "scheduler/decide/policies/serial.h"
#include "scheduler/decide/policies/slo.h"
#include "scheduler/decide/policy.h"

namespace stepcast {

absl::StatusOr<std::unique_ptr<SchedulingPolicy>> MakePolicy(const PolicyOptions& options) {
  if (options.max_queue_delay < absl::ZeroDuration() || options.max_queue_delay == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("scheduler.max_queue_delay is ",
                                                   absl::FormatDuration(options.max_queue_delay),
                                                   "; it must be finite and not negative"));
  }
  if (options.name == "serial") return std::make_unique<SerialPolicy>();
  if (options.name == "fifo") return std::make_unique<FifoPolicy>();
  if (options.name == "slo") return std::make_unique<SloPolicy>(options.promises);
  if (options.name == "request_level") return std::make_unique<RequestLevelPolicy>(options.max_queue_delay);
  return absl::InvalidArgumentError(
      absl::StrCat("scheduler.policy is '", options.name, "'; known: slo, fifo, request_level, serial"));
}

}  // namespace stepcast
