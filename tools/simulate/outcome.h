#pragma once
// What became of everybody, and what that says of a policy.

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// One job's fate. Seconds from the start.
struct Fate {
  Arrival arrival;
  bool admitted = false;
  absl::StatusCode end = absl::StatusCode::kUnknown;  // kUnknown: it still lived when the run ended
  double came = 0.0;
  double finished = 0.0;                                 // when it ended, whatever the end; infinite if it did not
  double isolated = 0.0;                                 // what it takes alone, by the device's true costs
  int evaluations = 0;                                   // done, whether or not they were of use
  double due = std::numeric_limits<double>::infinity();  // its deadline, seconds after `came`; infinite: none

  bool painted() const { return end == absl::StatusCode::kOk; }
  double latency() const { return finished - came; }
  // Painted within `multiple` x isolated.
  bool InTime(double multiple) const { return painted() && latency() <= multiple * isolated * (1.0 + 1e-9); }
};

struct Tick {
  double start = 0.0;
  double seconds = 0.0;
  double predicted = 0.0;
  Phase phase = Phase::kDenoise;
  int rows = 0;
  int jobs = 0;
  int padding = 0;  // rows executed and thrown away (strict mode)
  int device = 0;
};

struct Outcome {
  std::vector<Fate> fates;  // in order of arrival
  std::vector<Tick> ticks;
  double end = 0.0;  // seconds until the last job had ended, or the run's limit
  // Wall seconds that each refusal of a device took to decide, when the run has a wall clock.
  std::vector<double> refusals;
};

using Selection = std::function<bool(const Fate&)>;
bool Everybody(const Fate& fate);
Selection OfClass(Priority priority);
Selection OfTenant(std::string tenant);

// Drops the first `count` arrivals, whose queue was shorter than that of the others.
Outcome WithoutFirst(Outcome outcome, int count);

// Of the painted ones among `who`: mean and quantile (0..1) of the seconds from arrival to picture.
double MeanLatency(const Outcome& outcome, const Selection& who = Everybody);
double LatencyQuantile(const Outcome& outcome, double quantile, const Selection& who = Everybody);

// Share of `who` painted within `multiple` x isolated; a refusal, a drop and a late picture are misses.
double Attainment(const Outcome& outcome, double multiple, const Selection& who = Everybody);

// Share of all evaluations that were done for jobs which were not painted within `multiple` x isolated.
double WastedShare(const Outcome& outcome, double multiple);

// Evaluations per second of `who` over the run.
double Throughput(const Outcome& outcome, const Selection& who = Everybody);

// The highest rate at which `attainment(rate)` is at least `wanted`, found by bisection to 1 % between `low`, where it
// is, and `high`.
double HighestRate(const std::function<double(double)>& attainment, double wanted, double low, double high);

}  // namespace stepcast::simulate
