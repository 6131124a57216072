#pragma once
// How long jobs stand still between their denoise ticks.

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "scheduler/decide/scheduler_observer.h"

namespace stepcast::simulate {

// From the end of one denoise tick of a job to the start of its next.
struct Gap {
  JobId job;
  absl::Time from, to;
  double quanta = 0.0;  // over twice its last tick or one item, whichever is longer
};

// Books every gap of every job, whoever ran meanwhile. Device 0 of a run: one plan in flight.
class GapBooks final : public SchedulerObserver {
 public:
  // `item`: the time of an encode or a decode of one job, whichever is longer.
  explicit GapBooks(absl::Duration item) : item_(item) {}

  void OnSubmit(const Job&, absl::Time) override {}
  void OnLeave(JobId, const absl::Status&, absl::Time) override {}
  void OnPlan(const StepPlan& plan, absl::Time now) override;
  void OnComplete(const StepPlan& plan, absl::Span<const StepResult>, absl::Time now) override;

  // In order of `to`.
  const std::vector<Gap>& gaps() const { return gaps_; }

 private:
  struct Ran {
    absl::Time end;
    absl::Duration took;
  };

  const absl::Duration item_;
  absl::Time start_;  // of the plan in flight
  absl::flat_hash_map<JobId, Ran> last_;
  std::vector<Gap> gaps_;
};

}  // namespace stepcast::simulate
