#include "tools/simulate/summary.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace stepcast::simulate {
namespace {

double Ratio(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

// Adds up one set of jobs.
class Sum {
 public:
  void Add(const Fate& fate) {
    const bool in_time = fate.painted() && fate.latency() <= fate.due * (1.0 + 1e-9);
    ++summary_.jobs;
    in_time_ += in_time ? 1 : 0;
    evaluations_ += fate.evaluations;
    if (!in_time) wasted_ += fate.evaluations;
    if (fate.painted()) {
      latencies_.push_back(fate.latency());
      stretch_ += Ratio(fate.latency(), fate.isolated);
    } else if (!fate.admitted || fate.end == absl::StatusCode::kDeadlineExceeded) {
      ++summary_.dropped;
    } else {
      ++summary_.cancelled;
    }
  }

  // `seconds`: over which rates are taken.
  Summary Finish(double seconds) {
    std::sort(latencies_.begin(), latencies_.end());
    double total = 0.0;
    for (const double latency : latencies_) total += latency;
    const auto finished = static_cast<double>(latencies_.size());
    summary_.finished = static_cast<int64_t>(latencies_.size());
    summary_.throughput = Ratio(finished, seconds);
    summary_.mean = Ratio(total, finished);
    summary_.p50 = Percentile(latencies_, 0.50);
    summary_.p95 = Percentile(latencies_, 0.95);
    summary_.p99 = Percentile(latencies_, 0.99);
    summary_.stretch = Ratio(stretch_, finished);
    summary_.attainment = Ratio(static_cast<double>(in_time_), static_cast<double>(summary_.jobs));
    summary_.goodput = Ratio(static_cast<double>(in_time_), seconds);
    summary_.wasted_steps = Ratio(static_cast<double>(wasted_), static_cast<double>(evaluations_));
    return summary_;
  }

  const std::vector<double>& latencies() const { return latencies_; }

 private:
  Summary summary_;
  std::vector<double> latencies_;
  int64_t in_time_ = 0, evaluations_ = 0, wasted_ = 0;
  double stretch_ = 0.0;
};

// From the first arrival that counts to the last end of such a job.
double SpanSeconds(absl::Span<const Fate> fates) {
  double first = fates.empty() ? 0.0 : fates.front().came, last = first;
  for (const Fate& fate : fates) {
    if (std::isfinite(fate.finished)) last = std::max(last, fate.finished);
  }
  return last - first;
}

void AddTicks(absl::Span<const Outcome> runs, const SummaryOptions& options, RunSummary& summary) {
  int64_t rows = 0, padding = 0, ticks = 0;
  double busy = 0.0, end = 0.0;
  std::vector<double> errors;
  for (const Outcome& run : runs) {
    end += run.end * options.devices;
    for (const Tick& tick : run.ticks) {
      busy += tick.seconds;
      if (tick.phase != Phase::kDenoise) continue;
      ++ticks;
      rows += tick.rows;
      padding += tick.padding;
      if (tick.predicted > 0.0 && tick.seconds > 0.0) {
        errors.push_back(std::abs(tick.predicted - tick.seconds) / tick.seconds);
      }
    }
  }
  std::sort(errors.begin(), errors.end());
  summary.occupancy = Ratio(static_cast<double>(rows), static_cast<double>(ticks) * options.row_cap);
  summary.row_waste = Ratio(static_cast<double>(padding), static_cast<double>(rows + padding));
  summary.utilisation = Ratio(busy, end);
  summary.prediction_p50 = Percentile(errors, 0.5);
}

}  // namespace

RunSummary Summarize(absl::Span<const Outcome> runs, const SummaryOptions& options) {
  Sum all;
  std::map<std::string, Sum> priorities, tenants;
  double seconds = 0.0;
  for (const Outcome& run : runs) {
    const absl::Span<const Fate> fates =
        absl::MakeConstSpan(run.fates).subspan(std::min(run.fates.size(), static_cast<size_t>(options.warm_up)));
    for (const Fate& fate : fates) {
      all.Add(fate);
      priorities[PriorityName(fate.arrival.priority)].Add(fate);
      tenants[fate.arrival.tenant].Add(fate);
    }
    seconds += SpanSeconds(fates);
  }
  RunSummary summary;
  summary.all = all.Finish(seconds);
  for (auto& [name, sum] : priorities) summary.by_priority[name] = sum.Finish(seconds);
  for (auto& [name, sum] : tenants) summary.by_tenant[name] = sum.Finish(seconds);
  summary.latencies = all.latencies();
  AddTicks(runs, options, summary);
  return summary;
}

double Percentile(absl::Span<const double> sorted, double share) {
  if (sorted.empty()) return 0.0;
  const auto count = static_cast<double>(sorted.size());
  // A hair below, so that 0.95 of 100 is 95 and not 96.
  const double rank = std::clamp(std::ceil(share * count - 1e-9), 1.0, count);
  return sorted[static_cast<size_t>(rank) - 1];
}

const char* PriorityName(Priority priority) {
  constexpr std::array<const char*, 3> kNames = {"interactive", "standard", "batch"};
  return kNames[static_cast<size_t>(priority)];
}

}  // namespace stepcast::simulate
