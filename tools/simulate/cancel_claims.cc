#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "tools/simulate/acceptance.h"
#include "tools/simulate/driver.h"

namespace stepcast::simulate {
namespace {

// In how many ticks the rows of a job that was told to leave were still occupied: the one in flight then, and any
// later.
class LeaveBooks final : public SchedulerObserver {
 public:
  void OnSubmit(const Job&, absl::Time) override {}
  void OnLeave(JobId job, const absl::Status&, absl::Time) override { ticks_[job] = in_flight_.contains(job) ? 1 : 0; }
  void OnPlan(const StepPlan& plan, absl::Time) override {
    in_flight_ = {plan.jobs.begin(), plan.jobs.end()};
    for (const JobId job : plan.jobs) {
      if (const auto left = ticks_.find(job); left != ticks_.end()) ++left->second;
    }
  }
  void OnComplete(const StepPlan&, absl::Span<const StepResult>, absl::Time) override { in_flight_.clear(); }

  int64_t leaves() const { return static_cast<int64_t>(ticks_.size()); }

  // 99th percentile.
  double Ticks() const {
    std::vector<int> sorted;
    for (const auto& [job, ticks] : ticks_) sorted.push_back(ticks);
    if (sorted.empty()) return 0.0;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() * 99 / 100];
  }

 private:
  absl::flat_hash_set<JobId> in_flight_;
  absl::flat_hash_map<JobId, int> ticks_;
};

}  // namespace

std::vector<Claim> CancelClaims() {
  constexpr int kJobs = 12'600;
  constexpr int kStays = 21;  // one in so many does
  Random random(1);
  RunOptions run;
  run.device = BuiltInDevice("L").value();
  run.arrivals = MakeTraffic({.arrivals = kJobs, .rate = 100.0});
  for (int i = 0; i < kJobs; ++i) {
    // All but the first few wait in a queue: the doomed leave while they wait, while they run and while they are
    // parked.
    if (i % kStays != 0) run.arrivals[static_cast<size_t>(i)].patience = absl::Seconds(120 * random.Uniform());
  }
  LeaveBooks books;
  run.observer = &books;
  const Outcome outcome = Run(run);

  int64_t survivors = 0, whole = 0, unended = 0;
  for (const Fate& fate : outcome.fates) {
    if (fate.end == absl::StatusCode::kUnknown) ++unended;
    if (fate.arrival.patience != absl::InfiniteDuration()) continue;
    ++survivors;
    if (fate.painted() && fate.evaluations == fate.arrival.steps) ++whole;
  }
  return {{"cancel storm: jobs that were cancelled", static_cast<double>(books.leaves()), 10'000.0},
          {"cancel storm: p99 ticks until a cancelled job's rows are free", books.Ticks(), 1.0, true},
          {"cancel storm: jobs that never ended", static_cast<double>(unended), 0.0, true},
          {"cancel storm: survivors painted with all their evaluations, %",
           100.0 * static_cast<double>(whole) / static_cast<double>(survivors), 100.0}};
}

}  // namespace stepcast::simulate
