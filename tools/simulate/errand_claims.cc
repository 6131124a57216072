#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/simulate/acceptance.h"
#include "tools/simulate/driver.h"

namespace stepcast::simulate {
namespace {

constexpr double kPeople = 0.7;  // of all arrivals

RunOptions SceneOf(int devices, double rate, const AcceptanceOptions& options, uint64_t seed) {
  RunOptions run;
  run.device = BuiltInDevice("S").value();
  run.devices = devices;
  run.arrivals = MakeTraffic({.seed = seed,
                              .arrivals = options.arrivals,
                              .rate = rate,
                              .burstiness = 4.0,
                              .steps = {20, 30},
                              .pattern = {.priority = Priority::kInteractive, .deadline = 4.0}});
  Random random(seed + 1'000);
  for (Arrival& arrival : run.arrivals) {
    if (random.Uniform() < kPeople) continue;
    arrival.priority = Priority::kBatch;
    arrival.steps = 50;
  }
  return run;
}

double InTime(const Outcome& outcome) {
  const auto kept = std::count_if(outcome.fates.begin(), outcome.fates.end(),
                                  [](const Fate& fate) { return fate.painted() && fate.latency() <= fate.due; });
  return 100.0 * static_cast<double>(kept) / static_cast<double>(outcome.fates.size());
}

}  // namespace

std::vector<Claim> ErrandClaims(const AcceptanceOptions& options) {
  struct Fleet {
    int devices;
    double rate;
    double behind;  // points that keeping promises may cost
  };
  std::vector<Claim> claims;
  for (const Fleet& fleet : {Fleet{1, 0.6, 8.0}, Fleet{4, 3.0, 2.0}, Fleet{5, 3.0, 0.5}}) {
    double fifo = 0.0, open = 0.0, slo = 0.0;
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(options.seeds); ++seed) {
      RunOptions run = SceneOf(fleet.devices, fleet.rate, options, seed);
      open += InTime(Run(run)) / options.seeds;
      run.admission = true;
      slo += InTime(Run(run)) / options.seeds;
      run.admission = false;
      run.policy.name = "fifo";
      fifo += InTime(Run(run)) / options.seeds;
    }
    claims.push_back(
        {absl::StrFormat("people and errands, %d devices, %.1f/s: in time, slo (%.1f %%) behind the better of "
                         "fifo (%.1f) and no admission (%.1f), points",
                         fleet.devices, fleet.rate, slo, fifo, open),
         std::max(fifo, open) - slo, fleet.behind, /*at_most=*/true});
  }
  return claims;
}

}  // namespace stepcast::simulate
