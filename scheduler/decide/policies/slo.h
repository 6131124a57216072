#pragma once
// Deadlines, priorities and fair shares, with batches that fit the device's measured costs.

#include "scheduler/decide/policy.h"

namespace stepcast {

// Who leads: the first job, over all keys, in the order of LaneSequence: priority class, then the tenant that has used
// least of its share, then the on-time order. Its key is the tick's, and the jobs of that key that follow in the same
// order join it, up to the knee of the key's cost curve, or to what fits the device when more jobs are live than that
// and rows together pay; never so many that a member with a client's deadline becomes late by it.
//
//   - While a more urgent class was seen lately, a tick without it has at most kIdleJobs jobs (or the knee): whoever
//     comes next waits for the tick that runs.
//   - Every kExploreTurns-th plan may have twice those rows: what is never run is never measured, and a curve that
//     shows large ticks dearer than they are would otherwise never be put right.
//   - Bounded waiting: the eldest job, once it is an elder (20 x its isolated time after its arrival), leads at least
//     every kElderTurns-th plan, whatever its class. So a job waits for its elders only.
//   - Encodes and decodes may hold up a denoise batch by one quantum: twice a denoise tick, or one item. They are cut
//     to that, and denoising goes on in between. A batch with room first encodes whoever would fill it.
class SloPolicy final : public SchedulingPolicy {
 public:
  static constexpr int kIdleJobs = 3;
  static constexpr absl::Duration kIdleMemory = absl::Minutes(10);
  static constexpr int kElderTurns = 4;
  static constexpr int kExploreTurns = 256;

  // `promises`: whoever has a client's deadline was let in by CheckAdmission.
  explicit SloPolicy(bool promises = true) : promises_(promises) {}

  std::string_view name() const override { return "slo"; }
  bool expires_hopeless() const override { return true; }
  bool honours_shares() const override { return true; }
  StepPlan Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const override;
  std::vector<const JobView*> Order(const SchedulerSnapshot& snapshot, absl::Span<const JobView* const> more,
                                    absl::Time now) const override;
  int RowLimit(const BatchKey& key, const JobView& lead, int live_rows, const SchedulerSnapshot& snapshot,
               const CostModel& costs, absl::Time now) const override;

 private:
  const bool promises_;
};

}  // namespace stepcast
