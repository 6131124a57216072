#pragma once
// One job at a time.

#include "scheduler/decide/policy.h"

namespace stepcast {

// The oldest job runs alone, through all its phases; then the next. The baseline that batching is measured
// against.
class SerialPolicy final : public SchedulingPolicy {
 public:
  std::string_view name() const override { return "serial"; }
  StepPlan Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const override;
};

}  // namespace stepcast
