#pragma once
// Runs over a grid: policies x rates x numbers of devices, several seeds each.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/simulate/driver.h"
#include "tools/simulate/summary.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// A kind of client: `share` of the requests, relative to the other kinds.
struct ClientClass {
  double share = 1.0;
  Priority priority = Priority::kStandard;
  std::string tenant = "";
  std::vector<int> steps = {4, 8, 20, 30, 50};  // equally likely
};

// Random requests at a rate of their own.
struct Mix {
  std::vector<ClientClass> classes = {{}};  // not empty, shares > 0
  Arrival pattern = {};                     // what no class says: model and size
  int arrivals = 3'300;                     // of all classes
  double burstiness = 1.0;                  // of each class, see TrafficOptions
};

// The arrivals of `mix` at `rate` requests a second: one stream for each class, merged.
std::vector<Arrival> MakeArrivals(const Mix& mix, double rate, uint64_t seed);

// How many those are: each class has its share of mix.arrivals, rounded.
int CountArrivals(const Mix& mix);

// Requests a second that make one device's work `load` of what it does with full batches: load * 8 / (E[steps] * t(8)).
double RateOfLoad(const Device& device, double load, const Mix& mix);

struct SweepOptions {
  RunOptions run = {};  // policy name, arrivals, devices and noise seed are set by the sweep
  std::vector<std::string> policies = {};
  std::vector<int> devices = {1};
  // Either a trace, or the mix at each of `rates` for each seed.
  std::vector<Arrival> trace = {};
  Mix mix = {};
  std::vector<double> rates = {};
  std::vector<uint64_t> seeds = {1, 2, 3};
  double deadline = 0.0;  // of arrivals without one, as a multiple of their isolated times; 0: none
  int warm_up = 0;        // first jobs of a run that do not count
};

// One cell of the grid: all its seeds together.
struct SweepPoint {
  std::string policy;
  double rate = 0.0;  // offered requests a second
  int devices = 1;
  RunSummary summary;
};

// Points in order of rate, then devices, then policy. Errors: INVALID_ARGUMENT for an unknown policy, a number of
// devices outside 1..1024, noise outside 0..0.5, or limits no scheduler takes, naming it.
absl::StatusOr<std::vector<SweepPoint>> Sweep(const SweepOptions& options);

}  // namespace stepcast::simulate
