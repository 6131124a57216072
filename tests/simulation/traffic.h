#pragma once
// Seeded random traffic for the simulation.

#include <cstdint>
#include <vector>

#include "tests/support/simulation.h"

namespace stepcast {

// A small generator of its own: the standard library's distributions differ between implementations, and a seed
// must mean the same traffic everywhere.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}

  // Uniform in 0..sides-1.
  int Roll(int sides) { return static_cast<int>(Next() % static_cast<uint64_t>(sides)); }
  // Exponential with the given mean.
  absl::Duration Wait(absl::Duration mean);
  bool Chance(double probability) { return Uniform() < probability; }

 private:
  uint64_t Next();
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

  uint64_t state_;
};

struct TrafficOptions {
  uint64_t seed = 1;
  int requests = 1000;
  absl::Duration mean_gap = absl::Seconds(1);  // between requests
  double cancel = 0.1;                         // of requests, at a random moment
  double deadline = 0.1;                       // of requests, 0..20 s after their arrival
  double fault = 0.01;                         // of encodes, evaluations and decodes
};

// Any size of three, any number of steps, guided or not, one or two evaluations a step, one to four images.
TestJob RandomJob(Dice& dice);

// Schedules the whole traffic on `simulation`, which must outlive the call's effects.
void ScheduleTraffic(Simulation& simulation, const TrafficOptions& options);

}  // namespace stepcast
