#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/simulate/acceptance.h"
#include "tools/simulate/driver.h"

namespace stepcast::simulate {
namespace {

struct Trace {
  double rate;    // requests a second
  int deadlines;  // per cent of them have one
};

RunOptions SceneOf(const Trace& trace, const AcceptanceOptions& options, uint64_t seed) {
  RunOptions run;
  run.device = BuiltInDevice("Q").value();
  run.tenant_weights = {{"a", 5.0}, {"b", 2.0}, {"c", 1.0}};
  run.arrivals = MakeTraffic(
      {.seed = seed, .arrivals = options.arrivals, .rate = trace.rate, .burstiness = 4.0, .steps = {10, 20, 30}});
  Random random(seed + 1'000);
  for (Arrival& arrival : run.arrivals) {
    arrival.tenant = std::string(1, static_cast<char>('a' + random.Below(3)));
    if (random.Below(100) < trace.deadlines) arrival.due = absl::Seconds(2);
  }
  return run;
}

double InTime(const Outcome& outcome) {
  int in_time = 0;
  for (const Fate& fate : outcome.fates) in_time += fate.painted() && fate.latency() <= fate.due ? 1 : 0;
  return 100.0 * in_time / static_cast<double>(outcome.fates.size());
}

bool Patient(const Fate& fate) { return fate.arrival.due == absl::InfiniteDuration(); }

}  // namespace

std::vector<Claim> BurstClaims(const AcceptanceOptions& options) {
  std::vector<Claim> claims;
  for (const Trace& trace : {Trace{12.0, 20}, Trace{6.0, 20}, Trace{9.0, 50}, Trace{12.0, 100}, Trace{12.0, 0}}) {
    double fifo = 0.0, open = 0.0, slo = 0.0, median = 0.0, last = 0.0, refused = 0.0;
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(options.seeds); ++seed) {
      RunOptions run = SceneOf(trace, options, seed);
      open += InTime(Run(run)) / options.seeds;
      run.admission = true;
      const Outcome outcome = Run(run);
      slo += InTime(outcome) / options.seeds;
      median += LatencyQuantile(outcome, 0.5, Patient) / options.seeds;
      last += LatencyQuantile(outcome, 0.99, Patient) / options.seeds;
      for (const Fate& fate : outcome.fates) refused += Patient(fate) && !fate.admitted ? 1 : 0;
      run.admission = false;
      run.policy.name = "fifo";
      fifo += InTime(Run(run)) / options.seeds;
    }
    const std::string where = absl::StrFormat("bursts, %.0f/s, %d %% with a deadline: ", trace.rate, trace.deadlines);
    claims.push_back({absl::StrFormat("%sin time, slo (%.1f %%) behind the better of fifo (%.1f) and no admission "
                                      "(%.1f), points, p50 %.2f s p99 %.1f s",
                                      where, slo, fifo, open, median, last),
                      std::max(fifo, open) - slo, 0.5, /*at_most=*/true});
    if (trace.deadlines < 100)
      claims.push_back({absl::StrFormat("%srefused without a deadline", where), refused, 0.0, /*at_most=*/true});
  }
  return claims;
}

}  // namespace stepcast::simulate
