#pragma once
// Whole generations as batches: how servers without step-level batching work.

#include "scheduler/decide/policy.h"

namespace stepcast {

// Dynamic batching of whole requests. The oldest job gathers others that differ from it in prompt and seed
// only; the group runs from encode to decode and nobody joins until all have left.
//
// A group opens when it is full, or when the oldest job has waited `max_queue_delay`.
class RequestLevelPolicy final : public SchedulingPolicy {
 public:
  explicit RequestLevelPolicy(absl::Duration max_queue_delay) : max_queue_delay_(max_queue_delay) {}

  std::string_view name() const override { return "request_level"; }
  StepPlan Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const override;

 private:
  const absl::Duration max_queue_delay_;
};

}  // namespace stepcast
