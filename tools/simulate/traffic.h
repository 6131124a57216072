#pragma once
// Who comes, when, and what they want.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/generation_request.h"
#include "tools/simulate/curves.h"

namespace stepcast::simulate {

// One request on its way. In a trace file each field is a column (CSV) or key (JSON lines) of a name in brackets;
// only arrival_s and steps are required there.
struct Arrival {
  absl::Duration at = {};                              // [arrival_s] from the start
  int steps = 20;                                      // [steps] 1..1000
  bool guided = true;                                  // [guided] true: two rows an evaluation
  int latent_height = kLatentSide;                     // [latent_height], or [height] in pixels
  int latent_width = kLatentSide;                      // [latent_width], or [width] in pixels
  bool cold = false;                                   // [cold] its prompt must be encoded
  int done = 0;                                        // evaluations that somebody has done already, 0..steps
  int previews_every = 0;                              // [previews_every] steps; 0: none
  Priority priority = Priority::kStandard;             // [priority] interactive | standard | batch
  std::string tenant = "";                             // [tenant]
  double deadline = 0.0;                               // its client's, as a multiple of its isolated time; 0: none
  absl::Duration patience = absl::InfiniteDuration();  // [patience_s] cancelled so long after its arrival
  absl::Duration due = absl::InfiniteDuration();       // [deadline_s] its client's, after its arrival; > 0
  int evaluations_per_step = 1;                        // [evaluations_per_step] 1..4; 2 for Heun and its kin
  std::string model = kModel;                          // [model]
  int images = 1;                                      // [images] 1..1024; each is a job
};

// Numbers that are the same for the same seed on every machine.
//
// Thread-safety: none.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }        // [0, 1)
  int Below(int n) { return static_cast<int>(Next() % static_cast<uint64_t>(n)); }  // 0..n-1
  double Exponential();                                                             // mean 1
  double Gamma(double shape);                                                       // mean `shape`
  double Normal();

 private:
  uint64_t state_;
};

struct TrafficOptions {
  uint64_t seed = 1;
  int arrivals = 3'300;
  double rate = 1.0;                            // per second
  double burstiness = 1.0;                      // gaps are gamma with this squared coefficient of variation;
                                                // 1: Poisson
  std::vector<int> steps = {4, 8, 20, 30, 50};  // equally likely
  Arrival pattern = {};                         // everything else
};
std::vector<Arrival> MakeTraffic(const TrafficOptions& options);

// The two traces, each in order of time, as one; of equal times those of `a` go first.
std::vector<Arrival> Merge(const std::vector<Arrival>& a, const std::vector<Arrival>& b);

// Arrivals per second at `load` = rate x E[steps] x t(8) / 8.
double RateAt(const Device& device, double load, const std::vector<int>& steps);

}  // namespace stepcast::simulate
