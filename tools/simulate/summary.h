#pragma once
// The figures of a run, as tables, JSON and plots show them.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "tools/simulate/outcome.h"

namespace stepcast::simulate {

// Of a set of jobs. Latencies are those of finished jobs, in seconds: read them beside `dropped`.
struct Summary {
  int64_t jobs = 0;
  int64_t finished = 0;
  int64_t dropped = 0;    // refused or expired
  int64_t cancelled = 0;  // by their clients, failed, or live when the run ended
  double throughput = 0;  // finished jobs a second
  double mean = 0, p50 = 0, p95 = 0, p99 = 0;
  double stretch = 0;       // mean of latency over isolated time
  double attainment = 0;    // share of all jobs that finished in time; without a deadline any time is
  double goodput = 0;       // jobs in time a second
  double wasted_steps = 0;  // share of all evaluations that were done for jobs not in time
};

// One run, or several with equal settings taken together.
struct RunSummary {
  Summary all;
  std::map<std::string, Summary> by_priority;  // "interactive", "standard", "batch"
  std::map<std::string, Summary> by_tenant;
  double occupancy = 0;           // mean rows of a denoise tick, over the rows that it had room for
  double row_waste = 0;           // share of executed rows that were padding
  double utilisation = 0;         // share of the run that a device was busy
  double prediction_p50 = 0;      // |predicted - measured| / measured of denoise ticks, where predicted
  std::vector<double> latencies;  // of finished jobs, sorted
};

// What a summary needs to know of the runs.
struct SummaryOptions {
  int devices = 1;
  int row_cap = 16;  // rows that a denoise tick has room for
  int warm_up = 0;   // first jobs of each run that do not count
};

RunSummary Summarize(absl::Span<const Outcome> runs, const SummaryOptions& options);

// The smallest value that at least `share` of the values do not exceed (nearest rank); 0 when there are none.
// REQUIRES: `sorted` is.
double Percentile(absl::Span<const double> sorted, double share);

// "interactive", "standard", "batch".
const char* PriorityName(Priority priority);

}  // namespace stepcast::simulate
