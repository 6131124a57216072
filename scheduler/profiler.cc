#include "scheduler/profiler.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/status_macros.h"

namespace stepcast {
namespace {

constexpr int kRuns = 3;

// The row counts of one key, coarse first: one job, the cap, then halves of it, then a single row.
std::vector<int> RowCounts(const BatchKey& key, int cap) {
  const int job = std::min(key.phase == Phase::kDenoise ? 2 : 1, cap);
  std::vector<int> counts = {job};
  for (int rows = cap; rows > job; rows /= 2) counts.push_back(rows);
  if (job > 1) counts.push_back(1);
  return counts;
}

class Profile {
 public:
  Profile(StepExecutor& executor, absl::Duration budget, const Clock& clock, CostModel& costs)
      : executor_(executor), end_(clock.Now() + budget), clock_(clock), costs_(costs) {}

  // Measures the round-th row count of `key`; false when the key has no more or the time is over.
  absl::StatusOr<bool> Measure(const BatchKey& key, size_t round, std::vector<CostPoint>& points) {
    const std::vector<int> counts = RowCounts(key, costs_.limits().RowCap(key.phase));
    if (round >= counts.size()) return false;
    const int rows = counts[round];
    if (rows > costs_.RowCap(key)) return true;  // more than fits
    if (!Fits(key, rows)) return true;           // a smaller one may
    std::vector<absl::Duration> runs;
    if (points.empty()) {
      absl::Duration ignored;
      STEPCAST_RETURN_IF_ERROR(RunOnce(key, rows, ignored));
    }
    for (int run = 0; run < kRuns && (run == 0 || Fits(key, rows)); ++run) {
      const absl::Status status = RunOnce(key, rows, runs.emplace_back());
      if (absl::IsResourceExhausted(status)) {
        costs_.LowerRowCap(key, rows / 2);
        return true;
      }
      STEPCAST_RETURN_IF_ERROR(status);
    }
    std::sort(runs.begin(), runs.end());
    points.push_back({.rows = rows, .cost = runs[runs.size() / 2]});
    costs_.SetCurve(key, points);
    return true;
  }

 private:
  bool Fits(const BatchKey& key, int rows) const {
    const absl::Time now = clock_.Now();
    return now < end_ && now + costs_.Predict(key, rows) <= end_;
  }

  absl::Status RunOnce(const BatchKey& key, int rows, absl::Duration& took) {
    const absl::Time start = clock_.Now();
    STEPCAST_RETURN_IF_ERROR(executor_.RunSynthetic(key, rows));
    took = clock_.Now() - start;
    return absl::OkStatus();
  }

  StepExecutor& executor_;
  const absl::Time end_;
  const Clock& clock_;
  CostModel& costs_;
};

}  // namespace

absl::Status ProfileCosts(StepExecutor& executor, absl::Span<const BatchKey> keys, absl::Duration budget,
                          const Clock& clock, CostModel& costs) {
  Profile profile(executor, budget, clock, costs);
  std::vector<std::vector<CostPoint>> points(keys.size());
  bool more = true;
  for (size_t round = 0; more; ++round) {
    more = false;
    for (size_t i = 0; i < keys.size(); ++i) {
      STEPCAST_ASSIGN_OR_RETURN(const bool goes_on, profile.Measure(keys[i], round, points[i]));
      more |= goes_on;
    }
  }
  return absl::OkStatus();
}

}  // namespace stepcast
