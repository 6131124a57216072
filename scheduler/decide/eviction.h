#pragma once
// Whose tensors are on the device, and who makes room.

#include <vector>

#include "absl/types/span.h"
#include "scheduler/words/snapshot.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

// The jobs whose tensors are on the device.
//
// Thread-safety: none.
class ResidentSet {
 public:
  // Both do nothing when the job is there / is not there.
  void Enter(JobView& view);
  void Leave(JobView& view);

  absl::Span<const JobView* const> views() const { return views_; }

 private:
  std::vector<const JobView*> views_;  // by id
};

// Running jobs to park before `plan` runs, so that no more than limits.max_resident_jobs have tensors on the device:
// the least urgent class first, in it the latest deadline. Jobs of the plan, in flight, or at their decode stay.
std::vector<JobId> ChooseEvictions(const SchedulerSnapshot& snapshot, const StepPlan& plan);

}  // namespace stepcast
