#pragma once
// StepSchedulers on virtual time.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "scheduler/decide/admission.h"
#include "scheduler/decide/step_scheduler.h"
#include "tools/simulate/curves.h"
#include "tools/simulate/outcome.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// Keeps `live` jobs like `pattern` in the system: for each that ends, one comes.
struct Backlog {
  int live = 0;
  Arrival pattern = {};
};

struct RunOptions {
  PolicyOptions policy = {.name = "slo"};
  Device device = {};
  std::vector<Arrival> arrivals = {};
  std::vector<Backlog> backlogs = {};
  // With it, jobs are asked for as a server does; without it, everybody comes in.
  bool admission = false;
  AdmissionLimits limits = {.max_queued_jobs = 100'000};
  std::map<std::string, double> tenant_weights = {};
  // Equal ones. As with a Dispatcher, whose books and placement these are, each image goes where it will be done first,
  // and what is refused there is tried whole on the others; all images come in or none. Different here: nobody's prompt
  // is known, so no device is preferred for it; no device is lost; limits and costs are the same everywhere.
  int devices = 1;
  // Every tick takes its cost x (1 + noise x a normal number), at least a fifth of it.
  double noise = 0.0;
  uint64_t noise_seed = 1;
  // The scheduler knows the costs from the start; else it learns them.
  bool knows_costs = true;
  absl::Duration until = absl::InfiniteDuration();  // the run ends then, or when nothing is left
  InvariantChecks checks = InvariantChecks::kOff;
  const Clock* wall = nullptr;            // set: refusals are timed with it; nothing else is
  SchedulerObserver* observer = nullptr;  // of the first device
};

// The same options give the same outcome, bit for bit. REQUIRES: the policy exists, devices >= 1, arrivals in order.
Outcome Run(const RunOptions& options);

}  // namespace stepcast::simulate
